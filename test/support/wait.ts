// Waiting for something to become true, never for a fixed time. The limit is only there so that a broken test ends.
import { setTimeout as sleep } from "node:timers/promises"

const poll_ms = 20

/** Asks `condition` again and again until it answers something truthy, and gives that. Throws, naming `what`, after `limit_ms`. */
export async function eventually<T>(
  what: string,
  condition: () => T | Promise<T>,
  limit_ms = 60_000,
): Promise<Exclude<T, undefined | null | false | 0 | "">> {
  const end = performance.now() + limit_ms
  let last: unknown
  for (;;) {
    try {
      last = undefined
      const answer = await condition()
      if (answer) return answer as Exclude<T, undefined | null | false | 0 | "">
    } catch (failure) {
      last = failure
    }
    if (performance.now() > end) throw new Error(`waited ${limit_ms} ms in vain: ${what}`, { cause: last })
    await sleep(poll_ms)
  }
}
