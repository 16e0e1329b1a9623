// One publickey attempt (RFC 4252, section 7), whole or only asked about. The signature is checked by whoever knows the users;
// this hands over what was signed, and takes no answer but an identity for a login.
import type { AuthContext, PublicKeyAuthContext } from "ssh2"
import { GatewayError } from "../../src/core/errors.ts"
import type { Identity } from "../../src/core/identity.ts"
import type { Gate } from "../../src/gateway/contract.ts"
import { Reader } from "./codec.ts"

export const loginMethods = ["publickey"] as const
/** For somebody whose identity is proven and who has no grant: none of the methods a client knows would help. */
export const noMethod = ["grant"] as const

/** "asked": the key would do, nothing is proven yet. undefined: refused, and the log knows why. */
export async function keyLogin(attempt: AuthContext, gate: Gate): Promise<Identity | "asked" | undefined> {
  if (attempt.method !== "publickey") return undefined // never hostbased (ssh2 checks nothing there), never a password
  const { key, hashAlgo, signature, blob } = attempt as PublicKeyAuthContext & { readonly hashAlgo?: "sha256" | "sha512" }
  const shown = { type: new Reader(key.data).text(), blob: Buffer.from(key.data) }
  if (!signature || !blob) return (await gate.recognises(shown)) ? "asked" : undefined
  try {
    return await gate.identify({
      kind: "ssh_key",
      key: shown,
      // ssh2 tells RSA's signature algorithms apart only by their hash; "ssh-rsa" itself would be SHA-1.
      algorithm: hashAlgo ? `rsa-sha2-${hashAlgo.slice(3)}` : key.algo,
      signed: blob,
      signature,
    })
  } catch (failure) {
    gate.log.info({ err: failure }, "a login was refused")
    if (GatewayError.from(failure, "unauthenticated").kind !== "identity") throw failure
    return undefined
  }
}
