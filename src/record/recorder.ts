// The recorder of one session, as the gateway and the protocols see it. `disk_recorder.ts` is the one there is.
import type { Event } from "./events.ts"

export interface Recorder {
  /**
   * Puts one event on record, in the kernel's hands when it returns: a process killed after it loses nothing.
   * False: it could not be written. The session is then being cut and what the event spoke of must not happen.
   */
  write(event: Event): boolean
  /** For what has already happened (an outcome): written with the next event, or soon. */
  note(event: Event): void
  /** The number the next event will carry. */
  readonly next: number
}
