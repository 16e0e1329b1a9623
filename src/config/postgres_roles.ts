// The roles of a PostgreSQL target, how the gateway logs in as each, and who makes those that last for one session.
import type { PostgresRole, PostgresTarget } from "../core/target.ts"
import { readKeyPair } from "./key_pair.ts"
import type { Reading } from "./reading.ts"
import type { TargetFile } from "./schema.ts"
import type { Path } from "./source.ts"

type PostgresFile = NonNullable<TargetFile["postgres"]>
type LoginFile = Omit<PostgresFile["roles"][string], "member_of">

export function readPostgresRoles(
  reading: Reading,
  path: Path,
  { roles: file, creator, tls, pooler }: PostgresFile,
): Pick<PostgresTarget, "roles" | "creator"> {
  const roles = new Map<string, PostgresRole>()
  for (const [role, { member_of, ...login }] of Object.entries(file)) {
    const at: Path = [...path, "roles", role]
    if (!isRole(role)) reading.problemWithKey(at, "not the name of a role")
    for (const [index, name] of member_of.entries())
      if (!isRole(name)) reading.problem([...at, "member_of", index], "not the name of a role")
    if (member_of.length > 0 && (login.password ?? login.cert) !== undefined)
      reading.problem([...at, "member_of"], "a role that is made for each session has no password and no certificate of its own")
    if (member_of.length > 0 && pooler !== undefined && pooler !== "none")
      reading.problem(
        [...at, "member_of"],
        "a pooler knows nobody who was made for one session; give the role a password, or name the server itself",
      )
    if (member_of.length > 0 && !creator)
      reading.problem([...at, "member_of"], "who makes the role? creator: { user: …, password: … } is missing")
    roles.set(role, { ...readLogin(reading, at, { ...login, tls }), member_of })
  }
  if (roles.size === 0) reading.problem([...path, "roles"], "at least one role is needed")
  if (!creator) return { roles, creator: undefined }
  const { user, ...login } = creator
  const at: Path = [...path, "creator"]
  if (!isRole(user)) reading.problem([...at, "user"], "not the name of a role")
  return { roles, creator: { user, ...readLogin(reading, at, { ...login, tls }), member_of: [] } }
}

const isRole = (name: string): boolean => name !== "" && !/\p{Cc}/u.test(name) && Buffer.byteLength(name) <= 63

interface LoginOf extends LoginFile {
  readonly tls: PostgresFile["tls"]
}

function readLogin(reading: Reading, path: Path, { password, login, cert, key, tls }: LoginOf): Omit<PostgresRole, "member_of"> {
  if (login !== "scram-sha-256" && password === undefined) reading.problem([...path, "login"], "there is no password to log in with")
  if (login === "password" && tls === "disable")
    reading.problem([...path, "login"], "a password is sent in clear text only inside TLS; write tls: verify-full")
  if (cert !== undefined && tls === "disable")
    reading.problem([...path, "cert"], "a client certificate is only shown inside TLS; write tls: verify-full")
  if ((cert === undefined) !== (key === undefined)) reading.problem(path, "a client certificate is cert and key together")
  return {
    password: password === undefined ? undefined : reading.secret([...path, "password"], password),
    login,
    certificate: cert === undefined || key === undefined ? undefined : readKeyPair(reading, path, { cert, key }),
  }
}
