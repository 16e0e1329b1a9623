// The roles of a PostgreSQL target, and how the gateway logs in as each.
import type { PostgresRole } from "../core/target.ts"
import { readKeyPair } from "./key_pair.ts"
import type { Reading } from "./reading.ts"
import type { TargetFile } from "./schema.ts"
import type { Path } from "./source.ts"

type PostgresFile = NonNullable<TargetFile["postgres"]>

export function readPostgresRoles(reading: Reading, path: Path, { roles: file, tls }: PostgresFile): ReadonlyMap<string, PostgresRole> {
  const roles = new Map<string, PostgresRole>()
  for (const [role, { password, login, cert, key }] of Object.entries(file)) {
    const at: Path = [...path, "roles", role]
    if (role === "" || /\p{Cc}/u.test(role) || Buffer.byteLength(role) > 63) reading.problemWithKey(at, "not the name of a role")
    if (login !== "scram-sha-256" && password === undefined) reading.problem([...at, "login"], "there is no password to log in with")
    if (login === "password" && tls === "disable")
      reading.problem([...at, "login"], "a password is sent in clear text only inside TLS; write tls: verify-full")
    roles.set(role, {
      password: password === undefined ? undefined : reading.secret([...at, "password"], password),
      login,
      certificate: readCertificate(reading, at, { cert, key, tls }),
    })
  }
  if (roles.size === 0) reading.problem([...path, "roles"], "at least one role is needed")
  return roles
}

interface CertificateFile {
  readonly cert: string | undefined
  readonly key: string | undefined
  readonly tls: PostgresFile["tls"]
}

function readCertificate(reading: Reading, path: Path, { cert, key, tls }: CertificateFile): PostgresRole["certificate"] {
  if (cert === undefined && key === undefined) return undefined
  if (tls === "disable") reading.problem([...path, "cert"], "a client certificate is only shown inside TLS; write tls: verify-full")
  if (cert !== undefined && key !== undefined) return readKeyPair(reading, path, { cert, key })
  reading.problem(path, "a client certificate is cert and key together")
  return undefined
}
