// How V8 counts the buffers that bytes are read into. They lie outside its heap, and by default every 64 MB of them make it look through
// the whole heap, however short they live: at full speed several times a second, half of what a large transfer cost. Counted with the
// heap they go with the young garbage they are. A setting of this process, for all that it does.
import { setFlagsFromString } from "node:v8"

/** Where the setting is known: another V8 would say on standard error that it is not. */
const known = /^13\./

export function countBuffersWithHeap(): void {
  if (known.test(process.versions.v8)) setFlagsFromString("--external-memory-accounted-in-global-limit")
}
