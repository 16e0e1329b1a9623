// A role that lasts for one session: made before the login, a member of the roles that the target names, and dropped at the end;
// what it owns then goes to the first of them. It is called like the session, so the server's own log says whose each line is.
// Its password is random, never leaves this process but as a SCRAM verifier, and is no good after the grant's end. What sessions
// left whose gateway died is dropped when the next role is made.
// Source: "CREATE ROLE", "REASSIGN OWNED", "DROP OWNED"; "SCRAM-SHA-256 Authentication" for what a verifier holds.
import { createHash, createHmac, pbkdf2, randomBytes } from "node:crypto"
import type { Duplex } from "node:stream"
import { promisify } from "node:util"
import type { Clock } from "../../src/core/clock.ts"
import { limits } from "../../src/core/limits.ts"
import { Secret } from "../../src/core/secret.ts"
import type { PostgresRole, PostgresTarget } from "../../src/core/target.ts"
import type { Session } from "../../src/gateway/contract.ts"
import { message, protocol_3_0, startupMessage } from "./codec.ts"
import { Inlet } from "./inlet.ts"
import { secured } from "./upstream.ts"
import { failed, inTime, logIn, nextMessage, refused } from "./upstream_login.ts"

export interface SessionRole {
  readonly name: string
  readonly role: PostgresRole & { readonly password: Secret }
  readonly member_of: readonly string[]
}

interface Place {
  readonly session: Session
  readonly target: PostgresTarget
  /** The roles that are named belong to the whole server; what is owned belongs to a database. */
  readonly database: string
  readonly clock: Clock
  dial(): Promise<Duplex>
}

/** What is to be made, known before anything is, so that it can be dropped whatever happens in between. */
export function sessionRole({ id }: Session, member_of: readonly string[]): SessionRole {
  const password = new Secret(randomBytes(24).toString("base64url"))
  return { name: `sluice_${id}`, role: { password, login: "scram-sha-256", certificate: undefined, member_of: [] }, member_of }
}

/** Throws what a login throws, and `target_login_failed` when the server does not make the role. */
export async function makeRole(place: Place, { name, role, member_of }: SessionRole): Promise<void> {
  const { session, clock } = place
  const until = new Date(session.grant.ends_at).toISOString()
  session.recorder.write({ kind: "role", what: "made", name, member_of })
  await asCreator(place, [
    sweep,
    "BEGIN",
    `CREATE ROLE ${quoted(name)} LOGIN PASSWORD '${await verifierOf(role.password)}' VALID UNTIL '${until}'`,
    `COMMENT ON ROLE ${quoted(name)} IS '${comment}${new Date(clock.now()).toISOString()}'`,
    `GRANT ${member_of.map(quoted).join(", ")} TO ${quoted(name)}`,
    "COMMIT",
  ])
}

/** `place.dial` must still be good: the session is over. */
export async function dropRole(place: Place, { name, member_of }: SessionRole): Promise<void> {
  const heir = member_of[0] as string
  await asCreator(place, [
    "BEGIN",
    `GRANT ${quoted(name)} TO CURRENT_USER`, // only who has its rights may give away what it owns
    // Who had it may have changed its password and logged in past the gateway: without a role such a connection would go on.
    `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = '${name}'`,
    `REASSIGN OWNED BY ${quoted(name)} TO ${quoted(heir)}`,
    `DROP OWNED BY ${quoted(name)}`,
    `DROP ROLE ${quoted(name)}`,
    "COMMIT",
  ])
  place.session.recorder.write({ kind: "role", what: "dropped", name, member_of })
}

const comment = "made by Sluice at "

/** One that nobody uses and that is older than a login takes belonged to a session that is over. What cannot be dropped stays, and is no good. */
const sweep = `DO $sweep$
DECLARE left_over name;
BEGIN
  FOR left_over IN
    SELECT rolname FROM pg_catalog.pg_roles
    WHERE rolname ~ '^sluice_s_[0-9a-z]{16}$'
      AND CASE -- nothing else is read as a time
        WHEN pg_catalog.shobj_description(oid, 'pg_authid') ~ '^${comment}\\d{4}-\\d\\d-\\d\\dT\\d\\d:\\d\\d:\\d\\d\\.\\d{3}Z$'
        THEN pg_catalog.substr(pg_catalog.shobj_description(oid, 'pg_authid'), ${comment.length + 1})::timestamptz
          < pg_catalog.now() - interval '10 minutes'
      END
      AND NOT EXISTS (SELECT 1 FROM pg_catalog.pg_stat_activity WHERE usename = rolname)
  LOOP
    BEGIN
      EXECUTE pg_catalog.format('GRANT %I TO CURRENT_USER', left_over);
      EXECUTE pg_catalog.format('DROP OWNED BY %I', left_over);
      EXECUTE pg_catalog.format('DROP ROLE %I', left_over);
    EXCEPTION WHEN OTHERS THEN
      RAISE WARNING 'sluice: % is left: %', left_over, SQLERRM;
    END;
  END LOOP;
END $sweep$`

async function asCreator(place: Place, statements: readonly string[]): Promise<void> {
  const socket = await place.dial()
  await inTime({ clock: place.clock, socket }, () => say(socket, place, statements))
}

async function say(socket: Duplex, { session, target, database }: Place, statements: readonly string[]): Promise<void> {
  const { creator } = target
  if (!creator) throw failed("the target says nobody who makes roles")
  const stream = await secured(session, target, { stream: socket, role: creator })
  try {
    const inlet = new Inlet(stream, limits.postgres_greeting_bytes_max)
    const parameters = { user: creator.user, database, application_name: "sluice", search_path: "pg_catalog" }
    stream.write(startupMessage(protocol_3_0, Object.entries(parameters)))
    await logIn({ stream, inlet, user: creator.user, role: creator })
    await untilReady(inlet)
    for (const sql of statements) {
      stream.write(message("Q", sql))
      await untilReady(inlet)
    }
    stream.write(message("X"))
  } finally {
    stream.destroy()
  }
}

/** Throws what the server says instead. */
async function untilReady(inlet: Inlet): Promise<void> {
  for (;;) {
    const { type, body } = await nextMessage(inlet)
    if (type === "E") throw failed(refused(body).cause)
    if (type === "Z") return
  }
}

/** RFC 5803 in PostgreSQL's spelling: only letters, digits and `+/=$:`, so it needs no quoting. */
async function verifierOf(password: Secret): Promise<string> {
  const iterations = 4_096
  const salt = randomBytes(16)
  const salted = await promisify(pbkdf2)(password.reveal(), salt, iterations, 32, "sha256")
  const hmac = (words: string) => createHmac("sha256", salted).update(words).digest()
  const storedKey = createHash("sha256").update(hmac("Client Key")).digest("base64")
  return `SCRAM-SHA-256$${iterations}:${salt.toString("base64")}$${storedKey}:${hmac("Server Key").toString("base64")}`
}

/** An identifier ("Lexical Structure"). They come from the config and from a session's id, never from a client. */
const quoted = (name: string): string => `"${name.replaceAll('"', '""')}"`
