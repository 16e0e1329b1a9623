// The keys that sign tokens. Each service signs with its own, which never leaves its state folder, and shows the public half in the
// store, so that a token of one is good at the others. A rotation retires the keys of all services at once: each makes its next one as
// soon as it hears of it, and a retired one is trusted until the longest token that it signed has ended. A key that no service has
// shown for longer than any token lives is nobody's any more.
import { createLocalJWKSet, errors, type JSONWebKeySet, type JWK, type JWTVerifyGetKey } from "jose"
import type { AuthorityView } from "../../api/schema.ts"
import type { Clock, Millis, Timer } from "../../core/clock.ts"
import { GatewayError } from "../../core/errors.ts"
import type { Keys } from "../../core/keys.ts"
import { limits } from "../../core/limits.ts"
import { createTokenIssuer, type TokenIssuer, type TokenSigner } from "../../identity/tokens.ts"
import type { Log } from "../../observe/log.ts"
import { byPerson, byService, type Caller, note } from "../journal.ts"
import type { Change, EventKind, Store, TokenKeyRecord } from "../store.ts"

export interface TokenKeysOptions {
  readonly store: Store
  readonly keys: Keys
  readonly clock: Clock
  readonly log: Log
}

interface KnownKeys {
  readonly set: JSONWebKeySet
  readonly find: JWTVerifyGetKey
  readonly at: Millis
  /** When one of them ends, or the store is to be asked again. */
  readonly until: Millis
}

/** A key that has begun, or ceased, to sign. */
const told: ReadonlySet<EventKind> = new Set(["authority.made", "authority.retired"])

export class TokenKeys {
  readonly #options: TokenKeysOptions
  readonly #unsubscribe: () => void
  #own: TokenSigner | undefined
  #known: KnownKeys | undefined
  /** Counts what was forgotten: what was read of the store before that is out of date. */
  #forgotten = 0
  #timer: Timer | undefined
  #closed = false

  constructor(options: TokenKeysOptions) {
    this.#options = options
    this.#unsubscribe = options.store.onCommit((events) => {
      const ours = events.filter(({ kind, detail }) => told.has(kind) && (detail as AuthorityView).kind === "token")
      if (ours.length > 0) this.#forget()
      if (ours.some(({ kind }) => kind === "authority.retired")) void this.#renew()
    })
  }

  /** Signs with the service's own key of now. */
  readonly issuer: TokenIssuer = {
    issue: async (wanted) => (this.#own ??= await this.#options.store.change((change) => this.#adopt(change))).issue(wanted),
  }

  /** Shows the service's own key from now on. Rejects when the store cannot be used. */
  async start(): Promise<void> {
    this.#own = await this.#options.store.change((change) => this.#adopt(change))
    this.#again(limits.token_key_shown_ms)
  }

  close(): void {
    this.#closed = true
    this.#unsubscribe()
    this.#timer?.cancel()
  }

  /** Those that may have signed a token that is good now. */
  async published(): Promise<JSONWebKeySet> {
    return (await this.#load()).set
  }

  /** Those that tokens are verified with now, as one value; undefined when the store is to be asked again first. */
  current(): object | undefined {
    return this.#known && this.#options.clock.now() < this.#known.until ? this.#known : undefined
  }

  /** For the verifier: a key that is not known may be of a service that has just begun, so the store is asked again, now and then. */
  readonly find: JWTVerifyGetKey = async (header, token) => {
    const now = this.#options.clock.now()
    const known = this.#known && now < this.#known.until ? this.#known : await this.#load()
    try {
      return await known.find(header, token)
    } catch (failure) {
      const late = now - known.at >= limits.token_keys_ms_min
      if (!(failure instanceof errors.JWKSNoMatchingKey) || !late) throw failure
      return (await this.#load()).find(header, token)
    }
  }

  /**
   * A new key signs from now on, here, and in the other services as soon as they hear of it. With `distrust` what the others have signed
   * is good no longer; people's clients fetch new tokens with their logins and keys. Answers all that are trusted. Throws `forbidden`.
   */
  async rotate(
    caller: Caller,
    { reason, distrust }: { readonly reason: string; readonly distrust: boolean },
  ): Promise<readonly AuthorityView[]> {
    if (!caller.person.admin) throw new GatewayError("forbidden")
    const { store, clock } = this.#options
    this.#own = await store.change(async (change) => {
      const now = clock.now()
      // A browser's token at a target ends with its login, any other after a time.
      const last = Math.max(now + limits.token_ms, (await change.lastLoginEnd(now)) ?? 0)
      for (const key of await change.tokenKeys()) {
        if (!isTrusted(key, now) || (key.retired_at !== null && !distrust)) continue
        const retired = { ...key, retired_at: key.retired_at ?? now, good_until: distrust ? now : last }
        await change.retireTokenKey(retired)
        await note(change, { at: now, kind: "authority.retired", actor: byPerson(caller), reason, detail: viewOf(retired) })
      }
      return this.#adopt(change)
    })
    this.#forget()
    const now = clock.now()
    return (await store.tokenKeys()).filter((key) => isTrusted(key, now)).map(viewOf)
  }

  async #load(): Promise<KnownKeys> {
    const { store, clock } = this.#options
    const at = clock.now()
    const forgotten = this.#forgotten
    const shown = (await store.tokenKeys()).filter((key) => isTrusted(key, at))
    const set = { keys: shown.map(({ jwk }) => JSON.parse(jwk) as JWK) }
    const until = Math.min(at + limits.authorities_refresh_ms, ...shown.map(({ good_until }) => good_until ?? Infinity))
    const known = { set, find: createLocalJWKSet(set), at, until }
    if (forgotten === this.#forgotten) this.#known = known
    return known
  }

  #forget(): void {
    this.#known = undefined
    this.#forgotten++
  }

  /** The newest of the service's own keys that is not retired, made when there is none, and shown to be in use. */
  async #adopt(change: Change): Promise<TokenSigner> {
    const { keys, clock } = this.#options
    const shown = new Map((await change.tokenKeys()).map((key) => [key.kid, key]))
    for (let generation = 1; ; generation++) {
      const name = generation === 1 ? "token_signing" : `token_signing_${generation}`
      const signer = await createTokenIssuer({ privateKey: await keys.private(name, "p256"), clock })
      const known = shown.get(signer.kid)
      if (known && known.retired_at !== null) continue
      const now = clock.now()
      const key = { kid: signer.kid, jwk: JSON.stringify(signer.jwks.keys[0]), seen_at: now }
      await change.showTokenKey(key)
      // The first one is there from the first start on, and no news.
      if (!known && generation > 1) {
        const detail = viewOf({ ...key, retired_at: null, good_until: null })
        await note(change, { at: now, kind: "authority.made", actor: byService, detail })
      }
      return signer
    }
  }

  /** Now, and from then on. */
  async #renew(): Promise<void> {
    const { store, log } = this.#options
    let again_ms: number = limits.token_key_shown_ms
    try {
      this.#own = await store.change((change) => this.#adopt(change))
    } catch (err) {
      if (this.#closed) return
      log.warn({ err }, "could not show the key that verifies our tokens; trying again")
      again_ms = limits.sweep_ms // it may be a distrusted one that signs until then
    }
    this.#again(again_ms)
  }

  #again(time_ms: number): void {
    this.#timer?.cancel()
    if (!this.#closed) this.#timer = this.#options.clock.after(time_ms, () => void this.#renew())
  }
}

const isTrusted = ({ seen_at, good_until }: TokenKeyRecord, now: Millis): boolean =>
  now - seen_at < limits.token_key_ms && now < (good_until ?? Infinity)

const viewOf = ({ kid, jwk, seen_at, retired_at, good_until }: TokenKeyRecord): AuthorityView => ({
  id: kid,
  kind: "token",
  public: jwk,
  not_before: seen_at,
  not_after: good_until,
  status: retired_at === null ? "signing" : "retired",
})
