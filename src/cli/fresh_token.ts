// A token for the API that is good at each call: fetched when there is none, and again before its end, because a verb that waits for a
// decision outlives many. It keeps the one of the moment and nothing else.
import type { Millis } from "../core/clock.ts"
import { Secret } from "../core/secret.ts"

/** Before its end a token is not shown any more: the call it is for takes time, and clocks differ. */
const renewed_before_ms = 120_000

export interface FetchedToken {
  readonly token: string
  readonly expires_at: Millis
}

/** Calls that come at once share one fetch; one that fails is no reason not to try again. */
export function freshToken(fetch: () => Promise<FetchedToken>, now: () => Millis): () => Promise<Secret> {
  let kept: { readonly token: Secret; readonly expires_at: Millis } | undefined
  let fetching: Promise<Secret> | undefined
  const renew = async (): Promise<Secret> => {
    try {
      const { token, expires_at } = await fetch()
      kept = { token: new Secret(token), expires_at }
      return kept.token
    } finally {
      fetching = undefined
    }
  }
  return async () => (kept && now() <= kept.expires_at - renewed_before_ms ? kept.token : (fetching ??= renew()))
}
