// What every protocol fulfils, and all that it gets. A protocol turns one accepted client into an identity, opens a session on a
// target, and relays; it never sees a socket the core did not give it, and it never closes the door itself: the core does that,
// the protocol only says goodbye.
import type { Duplex, Readable } from "node:stream"
import type { Offer } from "../api/asking_schema.ts"
import type { Estimate } from "../api/hold_schema.ts"
import type { Action } from "../core/action.ts"
import type { Clock, Millis } from "../core/clock.ts"
import type { GatewayError } from "../core/errors.ts"
import type { Grant } from "../core/grant.ts"
import type { LoginId, RequestId, SessionId } from "../core/ids.ts"
import type { Identity } from "../core/identity.ts"
import type { Keys } from "../core/keys.ts"
import type { Secret } from "../core/secret.ts"
import type { FoundValues, ProtectedColumn } from "../core/protected_column.ts"
import type { ProtocolName, Target } from "../core/target.ts"
import type { Credential, SshPublicKey } from "../identity/credential.ts"
import type { Log } from "../observe/log.ts"
import type { Outcome } from "../record/events.ts"
import type { Recorder } from "../record/recorder.ts"
import type { Exact } from "./actions/shown_action.ts"
import type { Siblings } from "./siblings.ts"

/** What a folder under `protocols/` exports. */
export interface Protocol {
  readonly name: Exclude<ProtocolName, CarriedName>
  /** "accept": the listener does TLS before the protocol sees a byte. "in_stream": the protocol asks for it (`gate.secure`) or has its own. */
  readonly tls: "accept" | "in_stream"
  configure(host: Host): Serve
}

/**
 * A protocol without a listener: its clients come in a channel of another protocol's connection (`gate.carried`), which knows who they
 * are.
 */
export interface CarriedProtocol {
  readonly name: CarriedName
  readonly tls: "carried"
  configure(host: Host): ServeCarried
}

export type CarriedName = "tcp"
export type AnyProtocol = Protocol | CarriedProtocol

/** One client, from its wish to come in to its last byte. `gate` is this protocol's own. */
export type ServeCarried = (visit: Visit, gate: Gate) => Promise<void>

/** Somebody in another protocol's connection who wants to go to a target. One of `accept` and `refuse` is called, once. */
export interface Visit {
  readonly identity: Identity
  readonly target: string
  /** `gone`: the client takes and sends no more; what it sent can still be read. */
  accept(): { readonly client: Duplex; readonly gone: Promise<void> }
  refuse(why: GatewayError): void
  /** Words beside the bytes, where the client's tool shows any. */
  tell(words: string): void
  /** The connection that carries it is gone. */
  readonly gone: Promise<void>
  /** For how long nothing had come from the client when that connection was given up; undefined when it was not for that. */
  silent_ms(): number | undefined
}

/** One accepted client, first byte to last. Rejecting closes the client; the reason goes to the log. */
export type Serve = (client: Duplex, gate: Gate) => Promise<void>

/** The gateway a protocol runs in. */
export interface Host {
  readonly name: string
  /** The domain whose sub-domains are HTTP targets. */
  readonly domain: string
  /** How much of an exec's stdin, stdout and stderr is kept byte for byte (`recordings.stream_bytes_max`). */
  readonly stream_bytes_max: number
  /** How PostgreSQL clients log in that do not say it (`gateway.postgres.login`). */
  readonly postgres_login: "token" | "oauth"
  /** Private keys by name, made on first use and kept in the state folder. */
  readonly keys: Keys
  /** A line that `reader` can paste to ask for `target`. */
  ask(target: string, reader: string): string
  /** The line that prints a token, for somebody who has an SSH key here. */
  readonly token_line: string
  /** The `sluice` verbs, for somebody who came by ssh. */
  readonly verbs: Verbs
  /** The other processes of this gateway, as far as they speak this protocol. */
  readonly siblings: Siblings
  /** Where an SQL text holds values of protected columns; a promise, which never rejects, for one that has to be read first. */
  findValues(sql: string, columns: readonly ProtectedColumn[]): FoundValues | Promise<FoundValues>
  readonly service: ServiceDoor
  readonly clock: Clock
  readonly log: Log
}

/** The approval service, as people who come to the gateway's own name use it, and as browsers log in with it. */
export interface ServiceDoor {
  /** Where people reach it, without a slash at its end. */
  readonly url: string
  /** Passes a request on. Throws `not_found` for what is not the public's, `busy`, and `stale` when there is no answer. */
  pass(request: PassedRequest): Promise<PassedAnswer>
  /** A token for a browser that came back with `code`. Throws `login_failed`, `stale`. */
  redeem(visit: { readonly code: string; readonly host: string; readonly state: string }): Promise<{ token: string; expires_at: Millis }>
  /** Ends a login whose person says goodbye. */
  leave(login: LoginId): Promise<void>
}

export interface PassedAnswer {
  readonly status: number
  readonly headers: Readonly<Record<string, string | string[] | undefined>>
  readonly body: Readable
  /** Whether the service knows who called. */
  readonly known: boolean
}

export interface PassedRequest {
  readonly method: string
  /** With the query. */
  readonly path: string
  /** Names and values in turn. */
  readonly headers: readonly string[]
  /** The network address of the client. */
  readonly client: string
  readonly body: Readable | null
  readonly signal: AbortSignal
}

export type { Estimate } from "../api/hold_schema.ts"
export type { Offer } from "../api/asking_schema.ts"
export type { Keys } from "../core/keys.ts"
export type { Exact } from "./actions/shown_action.ts"
export type { Siblings } from "./siblings.ts"

/** Runs one verb for `identity`; answers its exit status. */
export type Verbs = (
  identity: Identity,
  line: readonly string[],
  io: { write(text: string): void; error(text: string): void; signal: AbortSignal; columns: number },
) => Promise<number>

export interface Gate {
  /** "203.0.113.7:52044" */
  readonly address: string
  readonly clock: Clock
  readonly log: Log
  /** Whether some user has this key, or could have this certificate. Not a login: it only answers a client that asks before it signs. */
  recognises(key: SshPublicKey): Promise<boolean>
  /** Throws `unauthenticated`. */
  identify(credential: Credential): Promise<Identity>
  /** Whether `identity` may still open something: nobody was disabled, no login has ended, no key was taken away or distrusted. Only what is known here is looked at. */
  stands(identity: Identity): boolean
  /**
   * Who the certificate says it is that the client showed in the TLS handshake; undefined when it showed none. Rejects with
   * `certificate_refused` for one that is not good: nothing else it shows may then stand in for it.
   */
  certified(): Promise<Identity> | undefined
  /** The handshake is over: its deadline no longer applies. `open` does this too. */
  settled(): void
  /**
   * Whether some grant opens `target` for `identity`, under whatever account: all that can be checked before the account is
   * known. False for an unknown target and for one of another protocol, and when `port` is neither the protocol's usual one
   * nor the target's own. Throws `stale`, `shutdown`.
   */
  reaches(identity: Identity, target: string, port: number): Promise<boolean>
  /**
   * What somebody may ask for from where they stand; undefined when that is nothing, and then they are told no more than that they
   * have no access. `port`: as for `reaches`. Throws `stale`, `shutdown`, `login_over`.
   */
  offer(wanted: AskWanted): Promise<Offered | undefined>
  /**
   * Asks for them, and settles when something opens the target: `open` then lends it. From here on the handshake's deadline no
   * longer applies. Rejects with `not_given` and the decider's words when it was denied or time is up, with `no_grant` when it cannot
   * be asked for or they would rather not, and with `busy`, `stale`, `shutdown`, `login_over`. A client that leaves takes it back.
   */
  ask(asking: Asking): Promise<void>
  /**
   * Who serves `identity` at `target`, when some grant opens it and a carried protocol is spoken there, at this port. Undefined for
   * everything else, and in the same way. Throws as `reaches`.
   */
  carried(
    identity: Identity,
    target: string,
    port: number,
  ): Promise<((visit: Omit<Visit, "identity" | "target">) => Promise<void>) | undefined>
  /** The grant check. Throws `no_grant` (also for an unknown target, and for one of another protocol), `stale`, `shutdown`. */
  open(opening: Opening): Promise<Session>
  /**
   * For what shares one session for long: whether its target is what `open` would reach, its person still in the groups it began
   * with, and, where its grant covers only some actions, whether `open` would lend that one again, because no better one has come.
   */
  prefers(session: Session): boolean
  /** Server-side TLS over `client`, with the gateway's certificate. Bytes already read must be `unshift`ed first. */
  secure(client: Duplex, options?: { readonly alpn?: readonly string[] }): Promise<Duplex>
}

export interface AskWanted {
  readonly identity: Identity
  readonly target: string
  /** Undefined: not known yet, or none. */
  readonly as: string | undefined
  readonly port?: number
}

/** As the service says it, and as the target is set up here. */
export interface Offered extends Offer {
  /** A client that says nothing asks as well, where nothing is wanted. */
  readonly unasked: boolean
}

export interface AskWords {
  readonly reason: string
  /** Undefined: as long as is usual. */
  readonly duration_ms: number | undefined
}

export interface Asking extends AskWanted {
  /** Aborted when the client has left. */
  readonly signal: AbortSignal
  /**
   * Asks the person why and for how long; again, with what was wrong, a few times. Undefined: they would rather not. Not called when
   * a rule gives it at once and wants to know nothing.
   */
  words(offer: Offer, problem: string | undefined): Promise<AskWords | undefined>
  /** It is on file and waits for somebody. */
  told(filed: Filed): void
}

/** A request that waits. */
export interface Filed {
  readonly request: RequestId
  /** Where it can be looked at. */
  readonly link: string
  /** "Request 7 for prod-host as root, 1h: oncall may approve it." */
  readonly say: string
}

export interface Opening {
  readonly identity: Identity
  readonly target: string
  /** The login or role on the target; undefined where the protocol has none. */
  readonly as: string | undefined
  /** The client's side: destroyed at the end, whatever happens. */
  readonly client: { destroy(): void }
  /**
   * Why the target cannot be what this client wants of it; undefined: it can. Asked once a grant opens it and before that grant begins
   * or a session is made, so that a client that is turned away has used up nothing. Only looks. `open` throws what it answers.
   */
  unsuited?(target: Target): GatewayError | undefined
  /** At the end: stops what still runs on the target, over `dial` if it must. Bounded by `cancel_ms_max`. */
  cancel?(dial: () => Promise<Duplex>): Promise<void>
  /** At a cut: the last words, in the client's own protocol. Bounded by `farewell_ms_max`. */
  farewell(reason: GatewayError): void | Promise<void>
  /** Whether nothing is under way, so that a shutdown need not wait for it; never, unless told. */
  idle?(): boolean
  /** Settles when nothing is under way any more and the client has the last of it; at once, unless told. */
  finished?(): Promise<void>
  /** Five minutes and one minute before the end. */
  warn?(warning: Warning): void
}

export interface Warning {
  readonly left_ms: number
  readonly ends_at: Millis
  /** "sluice: your access to prod-host ends in 5m (14:30:00 UTC). Extend: …" */
  readonly say: string
}

declare const opened: unique symbol

/** The smallest thing that must die together. Only `gate.open` makes one, and only with a grant. */
export interface Session {
  readonly [opened]: true
  readonly id: SessionId
  readonly identity: Identity
  /** Those its person was in when it began. */
  readonly groups: readonly string[]
  readonly target: Target
  readonly grant: Grant
  /** Aborted at the end of the session; at a cut its `reason` is the GatewayError. After that nothing is forwarded. */
  readonly signal: AbortSignal
  readonly recorder: Recorder
  /**
   * Decides about one action and puts it on record, in that order, before it may happen. `exact`: all of what would be sent, where
   * that is more than the action says; asked for only when somebody must be shown it. `estimate`: how much it would do, without doing
   * it; asked for only when who must decide wants to know, and nothing in the action may run by being looked at. Never rejects.
   */
  decide(action: Action, exact?: () => Promise<Exact>, estimate?: () => Promise<Estimate>): Decision
  /** Decides about a part of an action that was allowed, a file of a transfer: by the rules alone. */
  decidePart(action: Action): Decision
  /** Whether the grant is for such an action at all: for what only prepares one. One that is not is still to be decided about. */
  covers(action: Action): boolean
  /** What became of an allowed action. */
  outcome(outcome: Outcome): void
  /** A connection to the target's address, and to nothing else. Throws `target_unreachable`, or the cut's reason. */
  dial(): Promise<Duplex>
  /**
   * A certificate for `key`, an OpenSSH public key line, that lets it log in to the target as `login` for some minutes: one line as in
   * a `-cert.pub` file. Throws `stale` when the approval service does not answer, `over`, or the cut's reason.
   */
  certify(wanted: { readonly login: string; readonly key: string }): Promise<string>
  /** Client-side TLS over a dialled connection. Throws `target_untrusted`. */
  secure(upstream: Duplex, options: UpstreamTls): Promise<Duplex>
  /** Bytes that were forwarded, for the record and the metrics. */
  count(direction: "up" | "down", bytes: number): void
  /** The client left, or the target did: an end without a cut. Safe to call twice. */
  end(): void
  /** Settles when the session is over and its recording closed. */
  readonly ended: Promise<void>
}

export interface UpstreamTls {
  readonly verify: boolean
  readonly servername: string
  readonly ca: string | undefined
  readonly alpn?: readonly string[]
  /** What the gateway shows of itself: PEM, the chain with it. */
  readonly certificate?: { readonly cert: string; readonly key: Secret }
}

/** A decision that takes no more time. */
export type Decided =
  /** On record as event `action`; it may happen. */
  { readonly verdict: "allow"; readonly action: number } | { readonly verdict: "deny"; readonly error: GatewayError }

/**
 * Until `decided` settles, which it does even at a cut, the action waits, and so does what follows it on its channel.
 */
export interface Waiting {
  readonly verdict: "hold"
  readonly decided: Promise<Decided>
  /** Whom somebody waits for, once they are asked; undefined when it is only looked into. */
  readonly asked: Promise<Asked | undefined>
  /** Who wanted it has taken it back, or left. */
  withdraw(): void
  /** Nobody waits any more, and who asks again for the same finds the answer. */
  leave(): void
}

/** People were asked to approve what waits. */
export interface Asked {
  readonly request: RequestId
  readonly url: string
  readonly expires_at: Millis
  /** "sluice: this waits for an approval, …": one line. */
  readonly say: string
}

export type Decision = Decided | Waiting
