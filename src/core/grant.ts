// The result of a decision, as a value. Nothing about using a grant changes it; only the approval service makes a new
// revision (revoked, dropped, extended), and a higher revision always wins.
import type { ActionScope } from "./action_scope.ts"
import type { Millis } from "./clock.ts"
import type { GrantId, RequestId } from "./ids.ts"
import { limits } from "./limits.ts"

/** "spent": the last of its uses was claimed. */
export type GrantStatus = "active" | "revoked" | "dropped" | "spent"

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
  /** Begins at its first use and lasts this long from then; until that, `ends_at` is the deadline for it. Null: it has begun, or begins by itself. */
  readonly first_use_ms: number | null
  /** The actions it covers; null: all that its account may do. */
  readonly actions: ActionScope | null
  /** How many more actions it covers; null: any number. */
  readonly uses_left: number | null
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

/**
 * Among those that cover it: one that covers every action before one that names some or counts them, one that has begun before one
 * that would begin now, and then the one that lasts longest.
 */
export function bestGrant(grants: readonly Grant[], wanted: Wanted, now: Millis): Grant | undefined {
  return grants
    .filter((grant) => covers(grant, wanted, now))
    .reduce<Grant | undefined>((best, grant) => (best && !better(grant, best) ? best : grant), undefined)
}

function better(one: Grant, other: Grant): boolean {
  if (isLimited(one) !== isLimited(other)) return isLimited(other)
  if ((one.first_use_ms === null) !== (other.first_use_ms === null)) return one.first_use_ms === null
  return one.ends_at > other.ends_at
}

/** Whether single actions are decided about. */
export const isLimited = ({ actions, uses_left }: Grant): boolean => actions !== null || uses_left !== null
