// Logins: that somebody proved who they are, until when, and the secret that its holder shows instead of proving it again. It owns
// their beginning, their rotation and their end. A login opens; what is open lives by its grant.
import { createHash, randomBytes, timingSafeEqual } from "node:crypto"
import type { LoginStanding } from "../../api/schema.ts"
import type { Clock, Millis } from "../../core/clock.ts"
import { GatewayError } from "../../core/errors.ts"
import { type LoginId, isLoginId, newLoginId } from "../../core/ids.ts"
import { limits } from "../../core/limits.ts"
import { Secret } from "../../core/secret.ts"
import { type Actor, note } from "../journal.ts"
import type { People } from "../people/people.ts"
import type { LoginRecord } from "../people/people_store.ts"
import type { Change, Reader, Store } from "../store.ts"

export type NewLogin = Pick<LoginRecord, "subject" | "sub" | "kind" | "via" | "auth_time" | "acr" | "expires_at" | "from">

/** `secret`: for its holder alone; the store keeps its digest. */
export interface HeldLogin {
  readonly login: LoginRecord
  readonly secret: Secret
}

export interface LoginsOptions {
  readonly store: Store
  readonly people: People
  readonly clock: Clock
}

export class Logins {
  readonly #store: Store
  readonly #people: People
  readonly #clock: Clock

  constructor({ store, people, clock }: LoginsOptions) {
    this.#store = store
    this.#people = people
    this.#clock = clock
  }

  /** Inside the change that proves it. The least lately used makes room when there are more than `live_max`. */
  async begin(change: Change, wanted: NewLogin, live_max: number = limits.logins_per_subject_max): Promise<HeldLogin> {
    const now = this.#clock.now()
    const { subject: by, from } = wanted
    const live = await change.liveLogins(wanted.subject, now)
    for (const old of live.slice(0, Math.max(0, live.length + 1 - live_max)))
      await endLogin(change, old, { actor: { actor: "person", by, from }, why: "too many logins", now })
    const id = newLoginId()
    const secret = newSecret(id)
    const login: LoginRecord = {
      ...wanted,
      id,
      created_at: now,
      used_at: now,
      digest: digestOf(secret.reveal()),
      previous: null,
      rotated_at: null,
      ended_at: null,
      ended_by: null,
      ended_why: null,
      revision: 0,
    }
    await change.addLogin(login)
    const { digest: _digest, previous: _previous, ...detail } = login
    await note(change, { at: now, kind: "login.started", actor: { actor: "person", by, from }, detail })
    return { login, secret }
  }

  /** The login `id` while it is good: it has not ended, and its person is there. Undefined otherwise. */
  async live(id: LoginId, reader: Reader = this.#store): Promise<LoginRecord | undefined> {
    return this.#good(await reader.login(id), reader)
  }

  /** The live login whose holder shows `secret`. */
  async held(secret: string, reader: Reader = this.#store): Promise<LoginRecord | undefined> {
    return secret.length > limits.login_secret_chars_max ? undefined : this.#good(await reader.loginWith(digestOf(secret)), reader)
  }

  /** For a gateway. */
  async standing(id: LoginId): Promise<LoginStanding | undefined> {
    const login = await this.#store.login(id)
    if (!login) return undefined
    const ended = (await this.#good(login, this.#store)) === undefined
    return { id, subject: login.subject, expires_at: login.expires_at, ended, revision: login.revision }
  }

  /**
   * Exchanges a refresh token for the next one. One that was exchanged before has been copied: whoever shows it, the login ends.
   * An answer that got lost is no copy, so for a moment the one before is taken again. Throws `login_failed`.
   */
  async refresh(shown: string, from: string): Promise<HeldLogin> {
    const id = shown.split(".", 1)[0]
    const held = await this.#store.change(async (change) => {
      const now = this.#clock.now()
      const login = isLoginId(id) && shown.length <= limits.login_secret_chars_max ? await change.login(id) : undefined
      if (!login || login.kind === "web" || !(await this.#good(login, change))) return undefined
      const digest = digestOf(shown)
      const again = login.previous !== null && same(digest, login.previous)
      if (!again && !same(digest, login.digest)) return undefined
      if (again && (login.rotated_at ?? 0) + limits.refresh_again_ms < now) {
        await endLogin(change, login, { actor: { actor: "person", by: login.subject, from }, why: "a refresh token was used twice", now })
        return undefined
      }
      const secret = newSecret(login.id)
      // What comes first counts from the first time: a copy cannot keep the moment open.
      const rotated_at = again ? (login.rotated_at ?? now) : now
      const next = { id: login.id, digest: digestOf(secret.reveal()), previous: digest, rotated_at, used_at: now }
      await change.rotateLogin(next)
      return { login: { ...login, ...next }, secret }
    })
    if (!held) throw new GatewayError("login_failed", { what: "this login has ended; log in again" })
    return held
  }

  /** Notes that it is in use, at most once in a while: each note is a write. */
  async touch({ id, used_at }: LoginRecord): Promise<void> {
    const now = this.#clock.now()
    if (now - used_at >= limits.login_touch_ms) await this.#store.change((change) => change.useLogin(id, now))
  }

  /** Ends one; once it has ended nothing changes. Answers whether it was live. */
  end(id: LoginId, { actor, why }: { readonly actor: Actor; readonly why: string }): Promise<boolean> {
    return this.#store.change(async (change) => {
      const now = this.#clock.now()
      const login = await change.login(id)
      if (!login || login.ended_at !== null || now >= login.expires_at) return false
      await endLogin(change, login, { actor, why, now })
      return true
    })
  }

  async #good(login: LoginRecord | undefined, reader: Reader): Promise<LoginRecord | undefined> {
    const now = this.#clock.now()
    if (!login || login.ended_at !== null || now >= login.expires_at) return undefined
    const known = await this.#people.find(login.subject, reader)
    return known && this.#people.speaksFor(login, known) ? login : undefined
  }
}

/** Ends all of somebody's. */
export async function endLogins(
  change: Change,
  subject: string,
  end: { readonly actor: Actor; readonly why: string; readonly now: Millis },
): Promise<number> {
  const live = await change.liveLogins(subject, end.now)
  for (const login of live) await endLogin(change, login, end)
  return live.length
}

/** Inside a change that has found it live. */
export async function endLogin(
  change: Change,
  login: LoginRecord,
  { actor, why, now }: { readonly actor: Actor; readonly why: string; readonly now: Millis },
): Promise<void> {
  const revision = await change.nextSequence()
  const { id, subject, expires_at } = login
  await change.endLogin({ id, ended_at: now, ended_by: actor.by, ended_why: why, revision })
  const detail: LoginStanding = { id, subject, expires_at, ended: true, revision }
  await note(change, { at: now, kind: "login.ended", actor, reason: why, detail })
}

/** The login's id and 256 random bits. */
const newSecret = (id: LoginId): Secret => new Secret(`${id}.${randomBytes(32).toString("base64url")}`)
export const digestOf = (text: string): string => createHash("sha256").update(text).digest("base64url")
const same = (a: string, b: string): boolean => a.length === b.length && timingSafeEqual(Buffer.from(a), Buffer.from(b))

/** What a login made from another one has of it: the same proof, and the same end. */
export const proofOf = ({ subject, sub, via, auth_time, acr, expires_at }: LoginRecord) => ({
  subject,
  sub,
  via,
  auth_time,
  acr,
  expires_at,
})
