// Whether ssh2 runs with its native crypto: about twice the throughput of its plain JavaScript. `npm ci` builds it when the
// machine has a compiler (tools/build_native_crypto.mjs).
import { createRequire } from "node:module"

export function nativeCrypto(): boolean {
  const { bindingAvailable } = createRequire(import.meta.url)("ssh2/lib/protocol/crypto.js") as { bindingAvailable?: boolean }
  return bindingAvailable === true
}
