// Whether two parts of a config say the same, secrets included.
import { Secret } from "../core/secret.ts"

/**
 * For plain values, maps, sets, URLs, buffers, patterns and secrets: what a Config is made of. What cannot be compared is never the
 * same.
 */
export const sameValue = (a: unknown, b: unknown): boolean => a === b || textOf(a) === textOf(b)

let unknowns = 0

function textOf(value: unknown): string | undefined {
  return JSON.stringify(value, function (this: Record<string, unknown>, key: string, shown: unknown): unknown {
    const held = this[key] // `shown` is what its own toJSON made of it
    if (held instanceof Secret) return { secret: held.reveal() }
    if (held instanceof Set) return { set: [...(held as Set<unknown>)] }
    // A method stands beside what it was made from; a function that is a value itself shows nothing of what it does.
    if (typeof held === "function" && Array.isArray(this)) return { unknown: ++unknowns }
    return held instanceof Map ? { map: [...(held as Map<unknown, unknown>)] } : shown
  })
}
