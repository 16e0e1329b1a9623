// The result of a decision, as a value. Nothing about using a grant changes it; only the approval service makes a new
// revision (revoked, dropped, extended), and a higher revision always wins.
import type { Millis } from "./clock.ts"
import type { GrantId, RequestId } from "./ids.ts"
import { limits } from "./limits.ts"

export type GrantStatus = "active" | "revoked" | "dropped"

export interface Grant {
  readonly id: GrantId
  readonly request: RequestId
  readonly subject: string
  readonly target: string
  /** Logins or roles it covers; null covers each one the target offers. */
  readonly as: readonly string[] | null
  readonly starts_at: Millis
  /** Absolute. Opening late, reconnecting or approving twice does not move it. */
  readonly ends_at: Millis
  readonly status: GrantStatus
  /** The feed sequence of the change that made this revision. */
  readonly revision: number
}

export interface Wanted {
  readonly subject: string
  readonly target: string
  readonly as: string | undefined
}

/** Whether `grant` opens `wanted` at `now`. The end itself is outside: at `ends_at` it is over. */
export function covers(grant: Grant, wanted: Wanted, now: Millis): boolean {
  return (
    grant.status === "active" &&
    grant.subject === wanted.subject &&
    grant.target === wanted.target &&
    (wanted.as === undefined || grant.as === null || grant.as.includes(wanted.as)) &&
    grant.starts_at <= now + limits.start_clock_skew_ms_max &&
    now < grant.ends_at
  )
}

/** Among those that cover it, the grant that lasts longest. */
export function bestGrant(grants: readonly Grant[], wanted: Wanted, now: Millis): Grant | undefined {
  return grants
    .filter((grant) => covers(grant, wanted, now))
    .reduce<Grant | undefined>((best, grant) => (best && best.ends_at >= grant.ends_at ? best : grant), undefined)
}
