// The PostgreSQL protocol: one client from its first byte to its last. Read this file first.
//
//   downstream.ts  encryption, startup, token          upstream.ts  TLS and login on the target
//   relay.ts       both directions of what follows: scanner.ts cuts it into messages, frontend.ts and backend.ts read them
//   oauth_bearer.ts  psql 18's own login                client_options.ts  what a client tells the gateway in its options
//   asking.ts      without a grant
//   redaction.ts   what is kept of a statement, without passwords; column_values.ts  and without values of protected columns
//   session_role.ts  a role for one session            estimate.ts  how much a held statement would do
//   pooling.ts       a pooler between the target's address and the server
//   cancel_keys.ts   Ctrl-C                              refusal.ts   every error in PostgreSQL's own words
//
// Tokens travel inside TLS, or between two programs on the gateway's own machine (see downstream.ts).
import type { Duplex } from "node:stream"
import type { Action } from "../../src/core/action.ts"
import { GatewayError } from "../../src/core/errors.ts"
import type { Identity } from "../../src/core/identity.ts"
import type { PostgresPooler, PostgresTarget, Target } from "../../src/core/target.ts"
import type { Estimate, Gate, Host, Opening, Protocol, Session } from "../../src/gateway/contract.ts"
import { askToEnter } from "./asking.ts"
import { CancelKeys } from "./cancel_keys.ts"
import { authenticationOk, backendKeyData, report, type BackendKey } from "./codec.ts"
import { ColumnValues } from "./column_values.ts"
import { downstreamOf, greet, mustBePrivate, readStartup, readToken, type Downstream } from "./downstream.ts"
import { estimateRows } from "./estimate.ts"
import { readBearer, sendElsewhere } from "./oauth_bearer.ts"
import { cancelUntilQuiet, poolerOf } from "./pooling.ts"
import { farewell, fatal } from "./refusal.ts"
import { Relay } from "./relay.ts"
import { dropRole, makeRole, type SessionRole, sessionRole } from "./session_role.ts"
import type { Startup } from "./startup.ts"
import { abandon, cancelUpstream, connectUpstream, type LoginAs, type Upstream } from "./upstream.ts"

export const postgres: Protocol = {
  name: "postgres",
  tls: "in_stream",
  configure(host) {
    const keys = new CancelKeys(host)
    return (client, gate) => serve(client, gate, { host, keys })
  },
}

/** Targets of which the operator was told that they look like poolers. */
const suspected = new WeakSet<PostgresTarget>()

interface Asking {
  readonly startup: Startup
  readonly host: Host
}

interface Shared {
  readonly host: Host
  readonly keys: CancelKeys
}

/** Rejects after the client was told, so that the reason reaches the log. */
async function serve(client: Duplex, gate: Gate, shared: Shared): Promise<void> {
  const side = downstreamOf(client)
  try {
    const first = await readStartup(side, gate)
    if (first?.kind === "cancel") {
      await shared.keys.use(first.key)
      side.client.destroy() // never an answer
    } else if (first) {
      await admit(side, gate, { ...shared, startup: first })
    }
  } catch (failure) {
    const error = GatewayError.from(failure, "protocol_broken")
    await farewell(side.client, fatal(error), gate.clock)
    throw error
  }
}

/** Who, whether, and then the session. */
async function admit(side: Downstream, gate: Gate, shared: Shared & { startup: Startup }): Promise<void> {
  const { startup, host } = shared
  const identity = await identityOf(side, gate, { startup, host })
  if (!identity) return
  const visit = new Visit(side, gate, host)
  let unfit: GatewayError | undefined
  const unsuited = (target: Target): GatewayError | undefined => (unfit = unsuitedFor(target, startup))
  const open = (): Promise<Session> => gate.open({ identity, target: startup.target, as: startup.user, unsuited, ...visit.opening() })
  const session = await open().catch(async (refusal: unknown) => {
    // More access would not help whom the target does not suit.
    if (!(refusal instanceof GatewayError) || refusal.code !== "no_grant" || refusal === unfit) throw refusal
    await askToEnter(side, gate, { identity, startup, refusal })
    return open()
  })
  visit.session = session
  try {
    const { target } = session
    if (target.protocol !== "postgres") throw new GatewayError("unsupported", { what: "this target" })
    const { settings, database = target.database } = startup
    session.recorder.write({ kind: "startup", database, settings: Object.fromEntries(settings) })
    await visit.relay({ target, startup, keys: shared.keys })
  } catch (failure) {
    // At a cut the core has said goodbye.
    if (session.signal.aborted) return
    const known = GatewayError.from(failure, "target_broke")
    // Access alone reads the same everywhere; what broke can be found in the log by the session's id.
    const error = known.kind === "access" ? known : known.with({ session: session.id })
    if (visit.between) await farewell(side.client, fatal(error), gate.clock)
    throw error
  } finally {
    session.end()
    await session.ended
  }
}

/** What the client asks for in its first packet is more than the target gives. Said to who has access alone. */
function unsuitedFor(target: Target, startup: Startup): GatewayError | undefined {
  if (target.protocol !== "postgres") return undefined // never lent here
  const databases = [target.database, ...target.databases]
  if (startup.database !== undefined && !databases.includes(startup.database)) {
    return new GatewayError("unsupported", {
      what: `another database on this target than ${databases.map((name) => `"${name}"`).join(", ")}`,
    })
  }
  const [unwanted] = startup.wants.filter((name) => !target.startup[name])
  return unwanted && new GatewayError("unsupported", { what: `the startup parameter "${unwanted}" on this target` })
}

/** By the client's certificate, if it showed one, and nothing is asked then; else by a token. Undefined when the client left. */
async function identityOf(side: Downstream, gate: Gate, { startup, host }: Asking): Promise<Identity | undefined> {
  const certified = gate.certified()
  if (certified) {
    greet(side, startup)
    return certified
  }
  if ((startup.login ?? host.postgres_login) === "oauth") return bearerOf(side, gate, { startup, host })
  const token = await readToken(side, gate, startup)
  return token && gate.identify({ kind: "token", token, target: startup.target })
}

/** By a token that the client's own library gets, once it has been told where. */
async function bearerOf(side: Downstream, gate: Gate, { startup, host }: Asking): Promise<Identity | undefined> {
  mustBePrivate(side, gate)
  const issuer = host.service.url
  // libpq talks to no other authorization server, and by no other way.
  if (!issuer.startsWith("https://"))
    throw new GatewayError("unsupported", { what: "a login by OAuth while the approval service is not reached by HTTPS" })
  greet(side, startup)
  const token = await readBearer(side)
  if (token === undefined) return undefined
  try {
    if (token === "none")
      throw new GatewayError("unauthenticated", {}, new Error("the client has no token yet and was told where to get one"))
    return await gate.identify({ kind: "token", token, target: startup.target })
  } catch (failure) {
    if (failure instanceof GatewayError && failure.code === "unauthenticated") await sendElsewhere(side, issuer)
    throw failure
  }
}

/** One client on one target, and what the core asks of it at the end. */
class Visit {
  session!: Session
  readonly #side: Downstream
  readonly #gate: Gate
  readonly #host: Host
  #target: PostgresTarget | undefined
  #upstream: Upstream | undefined
  /** Made for this session alone, with the database it was made in. */
  #made: { readonly role: SessionRole; readonly database: string } | undefined
  #making: Promise<void> | undefined
  #relay: Relay | undefined
  #pooler: PostgresPooler = "none"
  /** On their way. */
  readonly #cancels = new Set<Promise<void>>()

  constructor(side: Downstream, gate: Gate, host: Host) {
    this.#side = side
    this.#gate = gate
    this.#host = host
  }

  /** Whether the client can read words of ours now. */
  get between(): boolean {
    return this.#relay?.between ?? true
  }

  opening(): Pick<Opening, "client" | "cancel" | "farewell" | "finished" | "warn"> {
    const { client } = this.#side
    return {
      client,
      cancel: (dial) => this.#stop(dial),
      farewell: (reason) => (this.between ? farewell(client, fatal(reason), this.#gate.clock) : undefined),
      finished: async () => this.#relay?.finished(),
      warn: (warning) => this.#relay?.say(report({ severity: "NOTICE", sqlstate: "00000", message: warning.say })),
    }
  }

  async relay({ target, startup, keys }: { target: PostgresTarget; startup: Startup; keys: CancelKeys }): Promise<void> {
    const { session } = this
    const { client } = this.#side
    const gone = () => session.end()
    client.once("close", gone)
    this.#target = target
    const login = { startup, clock: this.#gate.clock, ...(await this.#role(target, startup)) }
    const { greeting, ...upstream } = await connectUpstream(session, target, login)
    this.#upstream = upstream
    if (session.signal.aborted) return
    this.#pooler = poolerOf(target, upstream.key)
    if (target.pooler === undefined && this.#pooler !== "none") this.#suspect(target)
    const key = keys.mint(startup.version, () => this.#interrupt())
    try {
      const ready = greeting.at(-1) as Buffer
      const welcome = this.#side.welcomed ? [] : [authenticationOk()]
      client.write(Buffer.concat([...welcome, ...greeting.slice(0, -1), backendKeyData(key), ready]))
      this.#side.inlet.release()
      const { values } = target.redact
      const columns = values && new ColumnValues(values, this.#host.findValues)
      const { clock } = this.#gate
      const estimate = (action: Action): Promise<Estimate> =>
        estimateRows(action, { session, clock, connect: () => connectUpstream(session, target, login) })
      this.#relay = new Relay({ client, upstream: upstream.stream, session, clock, pooler: this.#pooler, columns, estimate })
      this.#relay.hear(greeting)
      await this.#relay.run()
    } finally {
      keys.forget(key)
    }
  }

  /** The next key may look like a server's, so whoever runs the target had better say it. */
  #suspect(target: PostgresTarget): void {
    if (suspected.has(target)) return
    suspected.add(target)
    const say = "this target answers as a pooler does, and is taken for one; its config should say pooler: session, transaction or none"
    this.#gate.log.warn({ target: target.name }, say)
  }

  /** What the gateway logs in as: the role that was asked for, or one of the session's own. */
  async #role(target: PostgresTarget, { user, database = target.database }: Startup): Promise<Pick<LoginAs, "user" | "role">> {
    const role = target.roles.get(user)
    if (!role || role.member_of.length === 0) return { user, role }
    const { session } = this
    const made = sessionRole(session, role.member_of)
    this.#made = { role: made, database }
    this.#making = makeRole({ session, target, database, clock: this.#gate.clock, dial: () => session.dial() }, made)
    await this.#making
    return { user: made.name, role: made.role }
  }

  /** At the end: neither what runs nor what the client has sent ahead may go on. */
  async #stop(dial: () => Promise<Duplex>): Promise<void> {
    if (this.#pooler === "none") {
      if (this.#upstream && this.#relay?.busy) abandon(this.#upstream)
      await this.#cancel(dial)
    } else {
      await this.#quieten(dial)
      // pgbouncer 1.18 dies when one that it is passing on is closed before it has.
      await Promise.allSettled(this.#cancels)
    }
    if (!this.#made || !this.#target) return
    await this.#making?.catch(() => {}) // one that is still being made could not be dropped
    const { role, database } = this.#made
    const { session } = this
    await dropRole({ session, target: this.#target, database, clock: this.#gate.clock, dial }, role).catch((err: unknown) =>
      this.#gate.log.warn(
        { err, session: session.id, role: role.name },
        "a session's role is left on the target; the next session drops it",
      ),
    )
  }

  /** A pooler cancels only for who is still connected. */
  async #quieten(dial: () => Promise<Duplex>): Promise<void> {
    const relay = this.#relay
    if (!relay?.busy) return
    await cancelUntilQuiet({ clock: this.#gate.clock, quiet: relay.drain(), cancel: () => this.#cancel(dial) })
    // What the server waits for more of ends when the pooler closes its connection.
    if (relay.busy && !relay.copying) {
      this.#gate.log.warn({ session: this.session.id }, "the pooler did not say in time that what ran for this session has ended")
    }
  }

  /** Ctrl-C: what waits is taken back, what runs is cancelled. */
  async #interrupt(): Promise<void> {
    if (this.#relay?.withdraw()) return
    await this.#cancel(() => this.session.dial())
  }

  async #cancel(dial: () => Promise<Duplex>): Promise<void> {
    const key: BackendKey | undefined = this.#upstream?.key
    if (!key || !this.#target || !this.#relay?.busy) return
    const sent = cancelUpstream(this.session, this.#target, { key, dial, clock: this.#gate.clock })
    this.#cancels.add(sent)
    await sent.finally(() => this.#cancels.delete(sent))
  }
}
