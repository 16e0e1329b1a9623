// What a provider says when somebody has logged out there: the claims of a logout token (OpenID Connect Back-Channel Logout 1.0,
// sections 2.4 and 2.6). It owns these alone; signature, issuer and audience were checked by who calls.
import type { JWTPayload } from "jose"
import type { Millis } from "../core/clock.ts"
import { limits } from "../core/limits.ts"

export interface LoggedOut {
  readonly iss: string
  readonly sub: string
  /** When it was said: what began later is not meant. */
  readonly at: Millis
}

const event = "http://schemas.openid.net/event/backchannel-logout"

/** Throws, with words for the log, when it is no such token. */
export function loggedOutOf(payload: JWTPayload, typ: string | undefined, now: Millis): LoggedOut {
  const { iss = "", sub, iat = 0, nonce, events } = payload
  const said = isObject(events) ? events[event] : undefined
  const age_ms = now - iat * 1000
  const wrong =
    typ !== undefined && !/^(application\/)?(logout\+)?jwt$/i.test(typ)
      ? "it is of another type"
      : !isObject(said)
        ? "it is about something else"
        : nonce !== undefined
          ? "it has a nonce, so it is an ID token"
          : age_ms > limits.oidc_logout_ms_max || age_ms < -limits.oidc_clock_skew_ms_max
            ? "it is not of now"
            : typeof sub !== "string" || sub === "" || sub.length > 255
              ? "it does not say who: the provider must send sub"
              : undefined
  if (wrong !== undefined) throw new Error(`the logout token: ${wrong}`)
  return { iss, sub: sub as string, at: iat * 1000 }
}

const isObject = (value: unknown): value is Record<string, unknown> => typeof value === "object" && value !== null && !Array.isArray(value)
