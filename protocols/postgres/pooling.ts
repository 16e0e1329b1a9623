// Whether what answers at a target's address is the server or a pooler, and how what runs behind a pooler is stopped. A pooler has
// connections of its own to the server: breaking ours stops nothing there, and what it has read of us already it passes on.
// Source: pgbouncer's config, "pool_mode".
import type { Clock } from "../../src/core/clock.ts"
import { limits } from "../../src/core/limits.ts"
import type { PostgresPooler, PostgresTarget } from "../../src/core/target.ts"
import type { BackendKey } from "./codec.ts"

/** By its config; or by its cancel key when that says nothing, and then by the mode of which less can be relied upon. */
export function poolerOf({ pooler }: PostgresTarget, key: BackendKey | undefined): PostgresPooler {
  return pooler ?? (key && isMadeUp(key) ? "transaction" : "none")
}

/**
 * Whether a cancel key is none of a server's own: it begins with the number of a process there, and no Linux counts beyond 2^22.
 * Poolers make theirs up of all 32 bits.
 */
const isMadeUp = ({ pid }: BackendKey): boolean => pid <= 0 || pid > 2 ** 22

export interface Stopping {
  readonly clock: Clock
  /** Settles when nothing runs on the target any more, by its own word, or when its connection is gone. Never rejects. */
  readonly quiet: Promise<void>
  /** One CancelRequest. Settles when it was taken. */
  cancel(): Promise<void>
}

/**
 * Cancels again and again until the target is quiet, or for `postgres_quiet_ms_max`. A single cancel is lost without a word when it
 * overtakes what it is meant for, comes between two messages, or before the pooler has found a connection for its client.
 */
export async function cancelUntilQuiet({ clock, quiet, cancel }: Stopping): Promise<void> {
  let timer: { cancel(): void } | undefined
  const late = new Promise<void>((resolve) => (timer = clock.after(limits.postgres_quiet_ms_max, resolve)))
  const end = Promise.race([quiet, late]).then(() => true)
  let over = false
  while (!over) {
    // One that is on its way is waited for: pgbouncer 1.18 dies when it is closed too early.
    await Promise.race([cancel().catch(() => {}), late])
    over = await Promise.race([end, pause(clock)])
  }
  timer?.cancel()
}

const pause = (clock: Clock) => new Promise<false>((resolve) => clock.after(limits.postgres_cancel_again_ms, () => resolve(false)))
