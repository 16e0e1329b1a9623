// Disabling somebody: they are nobody from that moment on. Their logins end, what they asked for is taken back, what they hold is
// revoked, so that what they have open is cut. Enabling gives none of it back.
import type { PersonView } from "../../api/schema.ts"
import type { Clock } from "../../core/clock.ts"
import { GatewayError } from "../../core/errors.ts"
import { byPerson, type Caller, note } from "../journal.ts"
import { revokeGrants, takeBackRequests } from "./leaving.ts"
import { endLogins } from "../login/logins.ts"
import type { Page, Paged } from "../page.ts"
import type { People } from "./people.ts"
import type { Store } from "../store.ts"

export interface DisablingOptions {
  readonly store: Store
  readonly people: People
  readonly clock: Clock
}

export class Disabling {
  readonly #options: DisablingOptions

  constructor(options: DisablingOptions) {
    this.#options = options
  }

  /** For administrators. Throws `forbidden`, `not_found`, `own_request` for oneself: the last one could not undo it. */
  async disable(caller: Caller, subject: string, reason: string): Promise<PersonView> {
    checkAdmin(caller)
    if (subject === caller.person.name) throw new GatewayError("invalid", { what: "nobody disables themselves; ask another administrator" })
    const view = await this.#set(caller, { subject, disabled: true, reason })
    await this.#end(caller, subject, reason)
    return view
  }

  /** Throws `forbidden`, `not_found`. */
  async enable(caller: Caller, subject: string, reason: string): Promise<PersonView> {
    checkAdmin(caller)
    return this.#set(caller, { subject, disabled: false, reason })
  }

  /** By name. */
  async list({ person }: Caller, paged: Paged<string>): Promise<Page<PersonView, string>> {
    if (!person.admin) throw new GatewayError("forbidden")
    return this.#options.people.page(paged)
  }

  #set(caller: Caller, { subject, disabled, reason }: { subject: string; disabled: boolean; reason: string }): Promise<PersonView> {
    const { store, people, clock } = this.#options
    return store.change(async (change) => {
      const now = clock.now()
      const before = await people.standing(subject, change)
      if (!before) throw new GatewayError("not_found")
      if (before.disabled !== disabled) {
        const revision = await change.nextSequence()
        await change.putStanding({ subject, disabled, at: now, by: caller.person.name, reason, revision })
        const actor = byPerson(caller)
        const kind = disabled ? "person.disabled" : "person.enabled"
        await note(change, { at: now, kind, actor, reason, detail: { ...before, disabled, revision } })
        if (disabled) await endLogins(change, subject, { actor, why: `disabled: ${reason}`, now })
      }
      return people.view(subject, change)
    })
  }

  /** Looked for after they were disabled: what they asked for until then is there now, and nothing comes after. */
  #end(caller: Caller, subject: string, reason: string): Promise<void> {
    const { store, clock } = this.#options
    return store.change(async (change) => {
      const leaving = { actor: byPerson(caller), reason, now: clock.now() }
      await takeBackRequests(store, change, subject, leaving)
      await revokeGrants(store, change, subject, leaving)
    })
  }
}

function checkAdmin({ person }: Caller): void {
  if (!person.admin) throw new GatewayError("forbidden")
}
