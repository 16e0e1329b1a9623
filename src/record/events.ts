// What one line of a recording says. Version 1: one JSON object a line (NDJSON), `n` counts up from 0 without gaps, `t` is
// milliseconds since the Unix epoch. The first line is `session`, the last `end`; a recording without `end` was interrupted.
import type { Action, BoundValue } from "../core/action.ts"
import type { Millis } from "../core/clock.ts"
import type { ErrorCode } from "../core/errors.ts"
import type { GrantId, RequestId, SessionId } from "../core/ids.ts"
import type { ProtocolName } from "../core/target.ts"

export const recording_version = 1

export interface SessionHeader {
  readonly kind: "session"
  readonly version: typeof recording_version
  readonly id: SessionId
  readonly gateway: string
  readonly protocol: ProtocolName
  readonly subject: string
  readonly groups: readonly string[]
  readonly via: string
  readonly target: string
  readonly as: string | null
  readonly grant: GrantId
  readonly request: RequestId
  readonly grant_ends_at: Millis
  /** The client's address, as host:port. */
  readonly client: string
}

export type Stream = "stdin" | "stdout" | "stderr"

/** Bytes as they passed: UTF-8 in `text`, anything else base64 in `base64`. */
export type Bytes = { readonly text: string } | { readonly base64: string }

/** The bytes of a `data` event. Joined, those of one stream are the stream. */
export const bytesOf = (event: Bytes): Buffer => ("text" in event ? Buffer.from(event.text) : Buffer.from(event.base64, "base64"))

export type Outcome = {
  /** The `n` of the action it ends. */
  readonly action: number
  readonly status: "ok" | "error" | "cancelled" | "cut" | "lost"
  readonly duration_ms?: number
  /** Postgres: the CommandComplete tag, rows, the SQLSTATE of an error. */
  readonly tag?: string
  readonly rows?: number
  readonly sqlstate?: string
  /** SSH: how the process ended. */
  readonly exit?: number
  readonly signal?: string
  /** HTTP: the status code. */
  readonly http_status?: number
  /** SFTP: the status code of the answer (0 is well), and of a channel how often it only looked: stat, realpath and the like. */
  readonly sftp_status?: number
  readonly lookups?: number
  /** Bytes towards the target and towards the client. */
  readonly bytes_up?: number
  readonly bytes_down?: number
}

export type Event =
  | SessionHeader
  /** `rule`: of `policy.actions`, where one decided, as "policy.actions[0]"; `flagged`: it says that such actions are to be looked at. */
  | {
      readonly kind: "action"
      readonly verdict: "allow" | "deny"
      readonly action: Action
      readonly rule?: string
      readonly flagged?: true
      /** The `n` of the event `held` that it waited after. */
      readonly held?: number
    }
  /** An action waits: the request it waits for, and the digest that an approval is bound to. */
  | { readonly kind: "held"; readonly action: Action; readonly rule: string; readonly request: RequestId; readonly digest: string }
  /** `held`: the `n` of what waited. "left": nobody waits here any more, and the request is still open. */
  | {
      readonly kind: "settled"
      readonly held: number
      readonly request: RequestId
      readonly how: "approved" | "denied" | "lapsed" | "withdrawn" | "left"
      readonly by: readonly string[]
      readonly reason?: string
      readonly waited_ms: number
    }
  /** Somebody who may decide about what waits asks the target's planner how much it would do: nothing of it runs. */
  | { readonly kind: "estimate"; readonly request: RequestId; readonly by: string }
  /** ... and what it guessed: rows read or changed, and its cost; or why there is no guess. */
  | {
      readonly kind: "estimated"
      readonly request: RequestId
      readonly rows: number | null
      readonly cost: number | null
      readonly why: string | null
    }
  | ({ readonly kind: "outcome" } & Outcome)
  | ({ readonly kind: "data"; readonly channel: number; readonly stream: Stream } & Bytes)
  /** A stream of which more passed than was kept: all of it is told by its size, and by its SHA-256 unless the target is without. */
  | { readonly kind: "digest"; readonly channel: number; readonly stream: Stream; readonly bytes: number; readonly sha256?: string }
  /**
   * What passed through a file that `action` opened, when it was closed, or when its channel ended first. A digest is of all bytes
   * that went this way, and only there when they went in order from the file's beginning, once, and every write succeeded.
   */
  | {
      readonly kind: "transfer"
      readonly channel: number
      readonly action: number
      readonly closed: boolean
      readonly bytes_up: number
      readonly bytes_down: number
      readonly sha256_up?: string
      readonly sha256_down?: string
    }
  /** SSH: the target opened a connection to the client that `action` allows: to a port it listens on, or to the client's agent. */
  | { readonly kind: "opened"; readonly action: number; readonly from?: string }
  /** ... and it is over; `opened` is the number of that event. */
  | ({ readonly kind: "closed"; readonly opened: number } & Pick<Outcome, "status" | "bytes_up" | "bytes_down" | "duration_ms">)
  | { readonly kind: "pty"; readonly channel: number; readonly term: string; readonly columns: number; readonly rows: number }
  | { readonly kind: "resize"; readonly channel: number; readonly columns: number; readonly rows: number }
  /**
   * Keys at a terminal, without what they were: at least one since the event before it. `enters` of them end a line, `pasted` do
   * within a bracketed paste.
   */
  | { readonly kind: "typed"; readonly channel: number; readonly enters?: number; readonly pasted?: number }
  | { readonly kind: "signal"; readonly channel: number; readonly name: string }
  | { readonly kind: "env"; readonly channel: number; readonly name: string }
  /** PostgreSQL: the database, and the settings that a client sent with its login. */
  | { readonly kind: "startup"; readonly database: string; readonly settings: Readonly<Record<string, string>> }
  /** PostgreSQL: a role of this session's own, on the target. */
  | { readonly kind: "role"; readonly what: "made" | "dropped"; readonly name: string; readonly member_of: readonly string[] }
  /**
   * PostgreSQL: a statement, or a portal of one with its values, that the server was given and that no Execute has run yet. It can run
   * by its name alone, in a later statement that does not show it.
   */
  | {
      readonly kind: "prepared"
      readonly statement?: string
      readonly portal?: string
      readonly sql: string
      readonly sql_bytes?: number
      readonly values?: readonly BoundValue[]
      readonly values_left_out?: number
    }
  /** Something asked for that is not offered, in our words. */
  | { readonly kind: "refused"; readonly what: string }
  /** SSH: one side no longer answered whether it was there, and the connection was closed; `for_ms`: nothing had come from it. */
  | { readonly kind: "silent"; readonly side: "client" | "target"; readonly for_ms: number }
  /** SSH, at a cut: a command of the gateway's own, run on the target to end what its sshd would not signal. */
  | { readonly kind: "swept"; readonly command: string }
  | { readonly kind: "warning"; readonly left_ms: number }
  | { readonly kind: "extended"; readonly ends_at: Millis }
  | { readonly kind: "cut"; readonly code: ErrorCode; readonly by?: string; readonly reason?: string }
  | { readonly kind: "end"; readonly code: ErrorCode | "closed" | "interrupted"; readonly bytes_up: number; readonly bytes_down: number }

export type Line = { readonly n: number; readonly t: Millis } & Event
