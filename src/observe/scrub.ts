// Makes fields fit for a log: no secret by its name or by its look, nothing that could steer a terminal, nothing without bound.
import { limits } from "../core/limits.ts"
import { Secret } from "../core/secret.ts"

/** A copy with what must not be logged taken out. */
export function scrub(fields: Record<string, unknown>): Record<string, unknown> {
  return Object.fromEntries(Object.entries(fields).map(([name, value]) => [name, scrubField(name, value, 0)]))
}

/** What looks like a secret is replaced, what a terminal would obey is shown as its code, the rest is cut at a bound. */
export function scrubText(text: string): string {
  const bounded =
    text.length > limits.log_text_chars_max ? `${text.slice(0, limits.log_text_chars_max)}… (${text.length} characters)` : text
  return bounded
    .replace(/-----BEGIN [^-]*PRIVATE KEY-----.*?(-----END [^-]*PRIVATE KEY-----|$)/gs, hidden)
    .replace(/\beyJ[\w-]{8,}\.[\w-]+\.[\w-]*/g, hidden) // a JWT (RFC 7519): its header begins with {"
    .replace(/\b(Bearer|Basic|Negotiate|Digest)\s+[\w+/=.~-]{8,}/gi, `$1 ${hidden}`)
    .replace(/\b(password|passwd|pwd|secret|token|api[_-]?key)(["']?\s*[=:]\s*)("[^"]*"|'[^']*'|[^\s,;&]+)/gi, `$1$2${hidden}`)
    .replace(/(:\/\/[^\s/:@]*):[^\s/@]*@/g, `$1:${hidden}@`)
    .replace(/[\p{Cf}\u007f-\u009f\u2028\u2029]/gu, (character) => `\\u{${character.codePointAt(0)!.toString(16)}}`)
}

const hidden = "[secret]"
const secret_names = /authorization|cookie|passw(or)?d|passphrase|secret|^(.*_)?tokens?$|private_?key|gateway_?key|api_?key|credential/i
const depth_max = 6

function scrubField(name: string, value: unknown, depth: number): unknown {
  if (secret_names.test(name) && value !== undefined && value !== null && typeof value !== "boolean") return hidden
  return scrubValue(value, depth)
}

function scrubValue(value: unknown, depth: number): unknown {
  if (typeof value === "string") return scrubText(value)
  if (typeof value === "bigint" || typeof value === "symbol") return String(value)
  if (typeof value !== "object" || value === null) return value
  if (value instanceof Secret) return hidden
  if (depth >= depth_max) return "…"
  if (value instanceof Error) return errorFacts(value, depth)
  if (value instanceof Date) return value
  if (ArrayBuffer.isView(value)) return `(${value.byteLength} bytes)`
  const items = value instanceof Set || value instanceof Map ? [...value] : value
  if (Array.isArray(items)) return items.slice(0, limits.log_items_max).map((item) => scrubValue(item, depth + 1))
  const entries = Object.entries(items).slice(0, limits.log_items_max)
  return Object.fromEntries(entries.map(([name, item]) => [name, scrubField(name, item, depth + 1)]))
}

/** An error as its name, code, message and causes; no stack and no other property, which might hold what a peer sent. */
function errorFacts(error: Error, depth: number): Record<string, unknown> {
  const code = (error as { code?: unknown }).code
  return {
    name: error.name,
    message: scrubText(error.message),
    ...(typeof code === "string" ? { code: scrubText(code) } : {}),
    ...(error.cause === undefined ? {} : { cause: scrubValue(error.cause, depth + 1) }),
  }
}
