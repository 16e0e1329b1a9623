// The SSH CAs of the config as authorities: their certificates' principals are names of users here.
import type { SshCa } from "../config/config.ts"
import type { SshAuthority } from "./certificate_login.ts"
import { verifyingKey } from "./ssh_verifying_key.ts"

/** By the CA's key in wire form. Throws with words for the operator when a key cannot be used. */
export function configuredAuthorities(cas: readonly SshCa[]): (blob: Buffer) => SshAuthority | undefined {
  const byKey = new Map(
    cas.map(({ key, domain }) => {
      const subjectOf = (principal: string): string => (domain === undefined ? principal : `${principal}@${domain}`)
      const authority: SshAuthority = {
        key: verifyingKey(key.blob),
        // One principal twice is still one person.
        claimOf: ({ principals }) => ({ subjects: [...new Set(principals)].map(subjectOf), login: undefined }),
      }
      return [key.blob.toString("base64"), authority]
    }),
  )
  return (blob) => byKey.get(blob.toString("base64"))
}
