// What this gateway knows about people and their logins: whether they may still open something. It holds no truth: the approval
// service does, and the feed tells of every change.
import type { FeedLine } from "../../api/feed_schema.ts"
import type { LoginStanding, PersonStanding } from "../../api/schema.ts"
import type { Millis } from "../../core/clock.ts"
import { GatewayError } from "../../core/errors.ts"
import type { LoginId } from "../../core/ids.ts"
import { limits } from "../../core/limits.ts"
import { FollowedCache } from "./followed_cache.ts"

/** Whose standing is asked about. */
export interface Somebody {
  readonly subject: string
  /** The login that the proof came from; undefined: from none. */
  readonly login?: LoginId | undefined
}

export interface DirectoryOptions {
  /** Ask the approval service. Reject with `not_found` when there is no such thing. */
  person(subject: string): Promise<PersonStanding>
  login(id: string): Promise<LoginStanding>
}

export class Directory {
  readonly #people: FollowedCache<PersonStanding>
  readonly #logins: FollowedCache<LoginStanding>

  constructor({ person, login }: DirectoryOptions) {
    const entries_max = limits.people_cache_entries_max
    this.#people = new FollowedCache({ entries_max, lookup: person })
    this.#logins = new FollowedCache({ entries_max, lookup: login })
  }

  /** Settles when the others have an answer. Throws `login_over` when there is no such person or login, else what asking throws. */
  async load({ subject, login }: Somebody): Promise<void> {
    const asked = [this.#people.load(subject), ...(login === undefined ? [] : [this.#logins.load(login)])]
    await Promise.all(asked).catch((failure: unknown) => {
      throw failure instanceof GatewayError && failure.code === "not_found" ? new GatewayError("login_over", {}, failure) : failure
    })
  }

  /** Their groups; undefined when it is not loaded. */
  groups(subject: string): readonly string[] | undefined {
    return this.#people.known(subject)?.groups
  }

  /** Whether they may open something at `now`. What is not loaded stands for nothing. */
  stands({ subject, login }: Somebody, now: Millis): boolean {
    const person = this.#people.known(subject)
    if (!person || person.disabled) return false
    if (login === undefined) return true
    const known = this.#logins.known(login)
    return known !== undefined && known.subject === subject && !known.ended && now < known.expires_at
  }

  apply(line: Extract<FeedLine, { kind: "person" | "login" }>): void {
    if (line.kind === "person") this.#people.apply(line.person.subject, line.person)
    else this.#logins.apply(line.login.id, line.login)
  }

  clear(): void {
    this.#people.clear()
    this.#logins.clear()
  }
}
