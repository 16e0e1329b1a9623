// Which of a request's headers are a part of what it does: an approval is for them too, and is not for the same request with others.
// What browsers and tools say of themselves and of what they take, and what tells one try from the next, is not; nor is what proves
// who asks, which changes from time to time and is nobody's to read.

const not_what_it_does = new Set([
  "accept",
  "accept-charset",
  "accept-encoding",
  "accept-language",
  "authorization",
  "baggage",
  "cache-control",
  "cookie",
  "date",
  "dnt",
  "from",
  "host",
  "idempotency-key",
  "origin",
  "pragma",
  "priority",
  "referer",
  "save-data",
  "sentry-trace",
  "traceparent",
  "tracestate",
  "upgrade-insecure-requests",
  "user-agent",
  "x-requested-with",
])
/** `if-` makes a request do nothing, or what it would have done. */
const kinds = /^(?:sec-|if-|x-b3-|x-datadog-)|(?:request|correlation|trace)-(?:id|context)$/
const proofs = /token|secret|passw|credential|cookie|session|signature|(?:api|access|auth)-?key|csrf|xsrf/

/** Names as they came, and values: in the order of the names, and among equal ones in their own. */
export function meaningfulHeaders(passing: readonly string[]): readonly (readonly [name: string, value: string])[] {
  const found: [name: string, value: string][] = []
  for (let at = 0; at < passing.length; at += 2) {
    const [name = "", value = ""] = [passing[at], passing[at + 1]]
    const lower = name.toLowerCase()
    if (!not_what_it_does.has(lower) && !kinds.test(lower) && !proofs.test(lower)) found.push([name, value])
  }
  const order = ([name]: readonly [string, string]): string => name.toLowerCase()
  return found.toSorted((a, b) => (order(a) < order(b) ? -1 : order(a) > order(b) ? 1 : 0))
}
