// Whether a token's claims are those that a workload's `match` in the config asks for. Letter for letter: no case is folded, no
// look-alike taken, nothing is a part of something else unless the config writes a star there.
import type { ClaimValue, Workload } from "../config/config.ts"

/** Every claim must be there and be one of its values; lists and objects are none. */
export function matchesClaims(match: Workload["match"], claims: Readonly<Record<string, unknown>>): boolean {
  const asked = Object.entries(match)
  return (
    asked.length > 0 && asked.every(([name, values]) => Object.hasOwn(claims, name) && values.some((value) => isValue(claims[name], value)))
  )
}

function isValue(claim: unknown, value: ClaimValue): boolean {
  if (typeof value !== "string" || !value.includes("*")) return claim === value
  // What a star stands for cannot look like something else: printable ASCII without the blank.
  return typeof claim === "string" && /^[!-~]*$/.test(claim) && matchesPattern(claim, value)
}

/** A star is any number of characters. One pass over the text: no pattern makes it slow. */
function matchesPattern(text: string, pattern: string): boolean {
  const [first = "", ...rest] = pattern.split("*")
  const last = rest.pop() ?? ""
  if (!text.startsWith(first) || !text.endsWith(last) || text.length < first.length + last.length) return false
  const end = text.length - last.length
  let at = first.length
  for (const part of rest) {
    const found = text.indexOf(part, at)
    if (found < 0 || found + part.length > end) return false
    at = found + part.length
  }
  return true
}
