// The list `identity.ssh_cas`: SSH CAs of the company's own that people's certificates may come from.
import type { SshCa, User } from "./config.ts"
import { parsePublicKey } from "./openssh_key.ts"
import type { Reading } from "./reading.ts"
import { part } from "./schema.ts"
import type { Path } from "./source.ts"

export function readSshCas(reading: Reading, users: readonly User[]): SshCa[] {
  const list: Path = ["identity", "ssh_cas"]
  const seen = new Set<string>()
  return Array.from({ length: reading.countAt(list) }, (_, index) => index).flatMap((index) => {
    const file = reading.section(part.ssh_ca, [...list, index])
    if (!file) return []
    const path = [...list, index, "key"]
    try {
      const key = parsePublicKey(file.key)
      const blob = key.blob.toString("base64")
      if (seen.has(blob)) reading.problem(path, "this key is listed twice")
      seen.add(blob)
      if (users.some((user) => user.ssh_keys.some((own) => own.blob.equals(key.blob))))
        reading.problem(path, "this key is a user's: a CA's key is used for nothing else")
      return [{ key, domain: file.domain?.replace(/^@/, "") }]
    } catch (failure) {
      reading.problem(path, (failure as Error).message)
      return []
    }
  })
}
