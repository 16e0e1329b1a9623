// The SSH key behind a proof. A login with a key, a token that was fetched with it and a login that was made with it say so in their
// `via`; when the key is its owner's no more, none of them is good any more. A certificate stands for itself: it has an end.
import { fingerprint } from "./ssh_fingerprint.ts"

/** How a login with the key is put on record. */
export const viaKey = (blob: Buffer): string => `ssh-key ${fingerprint(blob)}`

/** Its fingerprint; undefined for what was proven otherwise. */
export function keyBehind(via: string): string | undefined {
  const [, key] = /^(?:(?:token|cookie) \()?ssh-key (SHA256:[A-Za-z0-9+/]{43})\)?$/.exec(via) ?? []
  return key
}
