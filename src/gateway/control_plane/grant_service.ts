// What a gateway must ask the approval service for before it goes on: that a grant begins, that one of its uses is taken. Several
// gateways may ask at once; the service answers one after the other, and what it answers is kept before it is answered.
import type { ApiClient } from "../../api/client.ts"
import type { Grant } from "../../core/grant.ts"
import type { GrantId, SessionId } from "../../core/ids.ts"

/** Each answers the newest revision of the grant, and throws `over` for one that has ended, `stale` when there is no answer. */
export interface GrantService {
  /** Begins a grant that waits for its first use; one that has begun stays as it is. */
  begin(grant: GrantId): Promise<Grant>
  /** Takes one use. `action`: its digest, undefined for one that has none. */
  use(grant: GrantId, claim: { readonly session: SessionId; readonly action: string | undefined }): Promise<Grant>
  /** A certificate for a login at a target, on the strength of the grant: one line. */
  certify(grant: GrantId, wanted: { readonly session: SessionId; readonly login: string; readonly key: string }): Promise<string>
}

/** `onAnswer` gets each answer before the one who asked does: a gateway knows it from then on, whatever the feed's delay. */
export function grantService(gateway: string, api: ApiClient, onAnswer: (grant: Grant) => void): GrantService {
  const known = async (answer: Promise<Grant>): Promise<Grant> => {
    const grant = await answer
    onAnswer(grant)
    return grant
  }
  return {
    begin: (id) => known(api.call("begin", { id, body: { gateway } })),
    certify: async (id, { session, login, key }) =>
      (await api.call("certify", { id, body: { gateway, session, login, public_key: key } })).certificate,
    use: (id, { session, action }) =>
      known(api.call("use", { id, body: { gateway, session, ...(action === undefined ? {} : { action }) } })),
  }
}
