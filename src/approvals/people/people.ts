// The directory: the one place that knows who there is. People are in the config, or come by company login, or both; whoever was
// disabled is nobody. It also gives those who come for the first time their name. What a person may do is policy's to say.
import type { PersonStanding, PersonView } from "../../api/schema.ts"
import type { Config, User } from "../../config/config.ts"
import { type CurrentConfig, derived } from "../../config/current_config.ts"
import { isName } from "../../config/people.ts"
import type { Millis } from "../../core/clock.ts"
import { GatewayError } from "../../core/errors.ts"
import type { RequestId } from "../../core/ids.ts"
import { limits } from "../../core/limits.ts"
import type { CompanyPerson } from "../../identity/oidc.ts"
import { keyBehind } from "../../identity/proof_key.ts"
import { fingerprint } from "../../identity/ssh_fingerprint.ts"
import type { Log } from "../../observe/log.ts"
import { type Actor, note } from "../journal.ts"
import type { Page, Paged } from "../page.ts"
import type { Kept, LoginRecord, PersonRecord } from "./people_store.ts"
import type { Change, Reader, Store } from "../store.ts"

/** Somebody there is. */
export interface Known {
  readonly name: string
  /** The config's and the company's together. */
  readonly groups: readonly string[]
  /** The provider's `sub` whose logins are this person's; null: none are. */
  readonly sub: string | null
  readonly email: string | null
  /** Fingerprints of the SSH keys that are theirs in the config. */
  readonly keys: ReadonlySet<string>
  /** Whether the config names them; if not, the company alone does. */
  readonly configured: boolean
  /** A machine: it asks, and never decides. */
  readonly workload?: true
}

/** Somebody of the config. */
type Configured = Pick<User, "name" | "groups" | "oidc_sub"> & { readonly workload?: true }

/** What one config says of people. */
interface Named {
  readonly identity: Config["identity"]
  readonly users: ReadonlyMap<string, Configured>
  /** Fingerprints, by name. */
  readonly keys: ReadonlyMap<string, ReadonlySet<string>>
  /** In lower case: what names people in the config, and every word of the rules. */
  readonly userNames: ReadonlySet<string>
  readonly ruleWords: ReadonlySet<string>
}

export interface PeopleOptions {
  readonly current: CurrentConfig
  readonly store: Store
  readonly log: Log
}

export class People {
  readonly #store: Store
  readonly #log: Log
  readonly #named: () => Named

  constructor({ current, store, log }: PeopleOptions) {
    this.#store = store
    this.#log = log
    this.#named = derived(current, namedIn)
  }

  /** The one who is called `subject`; undefined when there is nobody, or they were disabled. Inside a change, give it as `reader`. */
  async find(subject: string, reader: Reader = this.#store): Promise<Known | undefined> {
    const named = this.#named()
    const { person, standing } = await reader.personCalled(subject)
    return standing?.disabled ? undefined : knownAs(named, subject, person)
  }

  /** Whoever made a request, as they are now: asked for with the request, so that it takes no way to the store of its own. */
  async asker(request: RequestId, reader: Reader): Promise<Known | undefined> {
    const named = this.#named()
    const kept = await reader.asker(request)
    return kept === undefined || kept.standing?.disabled ? undefined : knownAs(named, kept.subject, kept.person)
  }

  /** The same for a gateway, which is told of the disabled too. */
  async standing(subject: string, reader: Reader = this.#store): Promise<PersonStanding | undefined> {
    const named = this.#named()
    const { person, standing } = await reader.personCalled(subject)
    const known = knownAs(named, subject, person)
    if (!known) return undefined
    const revision = Math.max(person?.revision ?? 0, standing?.revision ?? 0)
    return { subject, groups: [...known.groups], disabled: standing?.disabled ?? false, revision }
  }

  /** As administrators see somebody. Throws `not_found`. */
  async view(subject: string, reader: Reader = this.#store): Promise<PersonView> {
    const named = this.#named()
    const { person, standing } = await reader.personCalled(subject)
    const view = viewOf(named, subject, { person, standing })
    if (!view) throw new GatewayError("not_found")
    return view
  }

  /** Everybody, by name. */
  async list(): Promise<PersonView[]> {
    const all: PersonView[] = []
    let next: string | null = ""
    do {
      const page: Page<PersonView, string> = await this.page({ before: next })
      all.push(...page.items)
      next = page.next
    } while (next !== null)
    return all
  }

  /** Those whose names come after `before`: this list begins at A. */
  async page({ before: after = "", limit = limits.list_rows_max }: Paged<string>): Promise<Page<PersonView, string>> {
    const named = this.#named()
    const rows = Math.min(limit, limits.list_rows_max)
    const people = new Map((await this.#store.people(after, rows + 1)).map((person) => [person.subject, person]))
    const users = [...named.users.keys()].filter((name) => name > after)
    const names = [...new Set([...users, ...people.keys()])].toSorted()
    const shown = names.slice(0, rows)
    const standings = new Map((await this.#store.standings(shown)).map((one) => [one.subject, one]))
    return {
      items: shown.flatMap((name) => viewOf(named, name, { person: people.get(name), standing: standings.get(name) }) ?? []),
      next: names.length > rows ? (shown.at(-1) ?? null) : null,
    }
  }

  /** Whether a login that was proven in this way is still that person's: its `sub` or its key may have been taken from them in the config. */
  speaksFor(login: Pick<LoginRecord, "subject" | "sub" | "via">, known: Known): boolean {
    return login.subject === known.name && (login.sub === null ? known.configured && provenNow(known, login.via) : login.sub === known.sub)
  }

  /**
   * Somebody whom the provider vouches for: under the name they have, or with a new one. Their groups are the provider's word of
   * now. Throws `login_failed` with words for an operator when no name can be theirs, or they were disabled.
   */
  async arrive(change: Change, company: CompanyPerson, { from, now }: { readonly from: string; readonly now: Millis }): Promise<Known> {
    const named = this.#named()
    const before = await change.personOf(company.iss, company.sub)
    const subject = await subjectOf(named, company, { before, change })
    const { standing } = await change.personCalled(subject)
    if (standing?.disabled) throw new GatewayError("login_failed", { what: `${subject} was disabled here; ask an administrator` })
    // Mail is sent there: only what the provider has verified is theirs.
    const { email, email_verified } = company.claims
    const person: PersonRecord = {
      iss: company.iss,
      sub: company.sub,
      subject,
      email: email_verified === true && typeof email === "string" && email.length <= 254 ? email : null,
      groups: await this.#groupsOf(named, company, { subject, change }),
      created_at: before?.created_at ?? now,
      seen_at: now,
      revision: before?.revision ?? 0,
    }
    const same = before && before.email === person.email && JSON.stringify(before.groups) === JSON.stringify(person.groups)
    const revision = same ? person.revision : await change.nextSequence()
    await change.putPerson({ ...person, revision })
    const known = knownAs(named, subject, person)
    if (!known) throw new GatewayError("login_failed", { what: `${subject} is the name of somebody else here` })
    if (!same) {
      const actor: Actor = { actor: "person", by: subject, from }
      const detail: PersonStanding = { subject, groups: [...known.groups], disabled: false, revision }
      await note(change, { at: now, kind: before ? "person.changed" : "person.joined", actor, detail })
    }
    return known
  }

  /** Bounded, and only those that can be nothing but groups; the others are dropped and logged. */
  async #groupsOf({ identity, userNames }: Named, { claims }: CompanyPerson, { subject, change }: Arriving): Promise<string[]> {
    const claim = claims[identity.oidc?.groups_claim ?? "groups"]
    const said: readonly unknown[] = claim === undefined ? [] : Array.isArray(claim) ? claim : [claim]
    const names = said.filter((name) => typeof name === "string" && isName(name) && !userNames.has(name.toLowerCase())) as string[]
    const bounded = names.slice(0, limits.oidc_groups_max)
    const people = new Set([subject, ...(await change.namesTaken(bounded))])
    const groups = [...new Set(bounded.filter((name) => !people.has(name)))].toSorted()
    if (groups.length < said.length) this.#log.warn({ subject, said: said.length, kept: groups.length }, "groups of a login were dropped")
    return groups
  }
}

/** Whether a proof that says how it came about is good as far as that depends on the config: a key may have been taken from them. */
export function provenNow({ keys }: Known, via: string): boolean {
  const key = keyBehind(via)
  return key === undefined || keys.has(key)
}

const none: ReadonlySet<string> = new Set()

function knownAs(
  { identity: { oidc }, users, userNames, keys }: Named,
  subject: string,
  person: PersonRecord | undefined,
): Known | undefined {
  const user = users.get(subject)
  const mine = user ? user.oidc_sub === person?.sub : !userNames.has(subject.toLowerCase())
  const company = person && oidc && person.iss === oidc.issuer && mine ? person : undefined
  if (!user && !company) return undefined
  const claimed = (company?.groups ?? []).filter((group) => !userNames.has(group.toLowerCase()))
  return {
    name: subject,
    groups: [...new Set([...(user?.groups ?? []), ...claimed])],
    sub: company?.sub ?? user?.oidc_sub ?? null,
    email: company?.email ?? null,
    configured: user !== undefined,
    keys: keys.get(subject) ?? none,
    ...(user?.workload ? { workload: true } : {}),
  }
}

function viewOf(named: Named, subject: string, { person, standing }: Kept): PersonView | undefined {
  const known = knownAs(named, subject, person)
  if (!known) return undefined
  const { name, groups, email } = known
  const company = person !== undefined && known.sub === person.sub
  const disabled = standing?.disabled ? { by: standing.by, at: standing.at, reason: standing.reason } : null
  const known_from = !named.users.has(subject) ? "company" : company ? "both" : "config"
  return { name, groups: [...groups], known_from, email, seen_at: company ? person.seen_at : null, disabled }
}

async function subjectOf(named: Named, { sub, claims }: CompanyPerson, { before, change }: Before): Promise<string> {
  const { identity, userNames, ruleWords } = named
  const linked = identity.users.find((user) => user.oidc_sub === sub)
  if (before) {
    if (linked && linked.name !== before.subject)
      throw refused(`this login is ${before.subject} here already, and the config says it is ${linked.name}: a name never changes`)
    return before.subject
  }
  if (linked) return linked.name
  const claim = identity.oidc?.name_claim ?? "email"
  const name = claims[claim]
  if (typeof name !== "string" || name === "") throw refused(`the provider says no ${claim}, which would be the name here`)
  // The provider itself says that this may be somebody else's address; some say so in a word.
  const { email_verified } = claims
  if (claim === "email" && (email_verified === false || email_verified === "false"))
    throw refused("the provider has not verified the e-mail address")
  if (!isName(name)) throw refused(`the provider's ${claim} cannot be a name here`)
  if (userNames.has(name.toLowerCase()))
    throw refused(`${name} is a user in the config; if it is the same person, link them there with oidc_sub`)
  // A rule that names a group must not come to mean whoever chose its name. What has an @ can only be meant as a person's.
  if (!name.includes("@") && ruleWords.has(name.toLowerCase())) throw refused(`${name} is a word of the rules here`)
  if ((await change.namesTaken([name])).length > 0)
    throw refused(`${name} is the name of another login here; the provider has given it to two people`)
  return name
}

interface Arriving {
  readonly subject: string
  readonly change: Change
}

interface Before {
  readonly before: PersonRecord | undefined
  readonly change: Change
}

function namedIn({ identity, policy }: Config): Named {
  const { users, workloads } = identity
  const named: readonly Configured[] = [...users, ...workloads.map(({ name, groups }) => ({ name, groups, workload: true as const }))]
  return {
    identity,
    users: new Map(named.map((user) => [user.name, user])),
    keys: new Map(users.map(({ name, ssh_keys }) => [name, new Set(ssh_keys.map(({ blob }) => fingerprint(blob)))])),
    userNames: new Set(named.map(({ name }) => name.toLowerCase())),
    ruleWords: new Set([...named.flatMap(({ groups }) => groups), ...words(policy)].map((word) => word.toLowerCase())),
  }
}

const refused = (what: string): GatewayError => new GatewayError("login_failed", { what: `this login cannot be accepted: ${what}` })

/** Every text in a value, however deep. */
function words(value: unknown): string[] {
  if (typeof value === "string") return [value]
  return typeof value === "object" && value !== null ? Object.values(value).flatMap(words) : []
}
