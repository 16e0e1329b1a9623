// The section `identity.oidc`: where people log in.
import { parseDuration } from "../core/duration.ts"
import { limits } from "../core/limits.ts"
import { parseHttpUrl } from "./address.ts"
import type { OidcConfig } from "./config.ts"
import type { Reading } from "./reading.ts"
import { part } from "./schema.ts"
import type { Path } from "./source.ts"

const at: Path = ["identity", "oidc"]

/** Undefined when people log in with what is in the file alone, or when the section cannot be read. */
export function readOidc(reading: Reading): OidcConfig | undefined {
  if (reading.at(at) === undefined) return undefined
  const file = reading.section(part.oidc, at)
  if (!file) return undefined
  checkIssuer(reading, file.issuer)
  const client_secret = reading.secret([...at, "client_secret"], file.client_secret)
  if (!file.scopes.includes("openid")) reading.problem([...at, "scopes"], "`openid` is missing: without it there is no ID token")
  for (const [index, scope] of file.scopes.entries())
    if (!/^[!#-[\]-~]+$/.test(scope)) reading.problem([...at, "scopes", index], "a scope is one word")
  const login_for_ms = parseDuration(file.login_for)
  const { login_ms_min, login_ms_max } = limits
  if (login_for_ms === undefined || login_for_ms < login_ms_min || login_for_ms > login_ms_max)
    reading.problem([...at, "login_for"], "expected how long a login lasts, from 5m to 30d, such as 12h")
  if (client_secret === undefined || login_for_ms === undefined) return undefined
  const { issuer, client_id, groups_claim, name_claim, scopes, ca } = file
  return { issuer, client_id, client_secret, groups_claim, name_claim, scopes, login_for_ms, ca }
}

/** What decides who people are is not asked over a network in clear; to this machine itself it may be (a provider in tests). */
function checkIssuer(reading: Reading, issuer: string): void {
  try {
    const { protocol, hostname } = parseHttpUrl(issuer)
    if (protocol === "http:" && !/^(localhost|127\.\d+\.\d+\.\d+|\[::1\])$/.test(hostname)) throw new Error("the issuer must be https://")
  } catch (failure) {
    reading.problem([...at, "issuer"], (failure as Error).message)
  }
}
