// Whether two parts of a config say the same, secrets included.
import { Secret } from "../core/secret.ts"

/** For plain values, maps, URLs, buffers, patterns and secrets: what a Config is made of. */
export const sameValue = (a: unknown, b: unknown): boolean => a === b || textOf(a) === textOf(b)

function textOf(value: unknown): string | undefined {
  return JSON.stringify(value, function (this: Record<string, unknown>, key: string, shown: unknown): unknown {
    const held = this[key] // `shown` is what its own toJSON made of it
    if (held instanceof Secret) return { secret: held.reveal() }
    return held instanceof Map ? [...(held as Map<unknown, unknown>)] : shown
  })
}
