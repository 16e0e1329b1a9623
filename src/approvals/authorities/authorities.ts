// The CAs that sign people's certificates, and gateways' logins at targets. Each service signs with keys of its own, which never leave its state folder; what
// everybody must know of them is in the store, so that gateways trust what any service signed. A rotation retires the CAs of all
// services at once: each makes its next one when it signs next, and a retired one is trusted until what it signed has ended.
import { createHash, createPublicKey } from "node:crypto"
import type { AuthorityView } from "../../api/schema.ts"
import type { Clock, Millis } from "../../core/clock.ts"
import { GatewayError } from "../../core/errors.ts"
import type { Keys } from "../../core/keys.ts"
import { limits } from "../../core/limits.ts"
import type { Secret } from "../../core/secret.ts"
import { type ClientCa, clientCa } from "../../identity/client_certificate.ts"
import { type TargetCa, targetCa } from "../../identity/target_certificate.ts"
import { type UserCa, userCa } from "../../identity/user_certificate.ts"
import type { AuthorityRecord, CertificateAuthority } from "./authority_record.ts"
import { type Actor, byPerson, byService, type Caller, note } from "../journal.ts"
import type { Change, Store } from "../store.ts"

export interface AuthoritiesOptions {
  readonly store: Store
  readonly keys: Keys
  readonly clock: Clock
  /** Of the place, for the CA's own name. */
  readonly name: string
}

/** A CA that signs now, in the change that was given: what it signs is kept until `until`. */
export interface Signer<Ca> {
  readonly ca: Ca
  signing(until: Millis): Promise<void>
}

export class Authorities {
  readonly #options: AuthoritiesOptions
  #made: Promise<void> | undefined

  constructor(options: AuthoritiesOptions) {
    this.#options = options
  }

  /** Those whose certificates may be good now; this service's own are made when nobody has asked before. */
  async trusted(): Promise<AuthorityView[]> {
    const { store, clock } = this.#options
    await (this.#made ??= this.#make())
    return (await store.authorities()).filter((record) => isTrusted(record, clock.now())).map(viewOf)
  }

  /** So that gateways know them before the first certificate comes. */
  async #make(): Promise<void> {
    const actor = byService
    await this.#options.store
      .change(async (change) => {
        await this.ssh(change, actor)
        await this.client(change, actor)
        await this.target(change, actor)
      })
      .catch((failure: unknown) => {
        this.#made = undefined
        throw failure
      })
  }

  /** A new CA signs from now on. Throws `forbidden`. */
  async rotate(
    caller: Caller,
    kind: CertificateAuthority,
    { reason, distrust }: { readonly reason: string; readonly distrust: boolean },
  ): Promise<AuthorityView[]> {
    if (!caller.person.admin) throw new GatewayError("forbidden")
    const actor = byPerson(caller)
    await this.#options.store.change(async (change) => {
      const now = this.#options.clock.now()
      for (const record of await change.authorities()) {
        if (record.kind !== kind || !isTrusted(record, now) || (record.retired_at !== null && !distrust)) continue
        const retired = { ...record, retired_at: record.retired_at ?? now, signed_until: distrust ? now : record.signed_until }
        await change.changeAuthority(retired)
        await note(change, { at: now, kind: "authority.retired", actor, reason, detail: viewOf(retired) })
      }
      await {
        "ssh-user": () => this.ssh(change, actor),
        client: () => this.client(change, actor),
        "ssh-target": () => this.target(change, actor),
      }[kind]()
    })
    return this.trusted()
  }

  /** `actor`: who had it made, should there be none yet. */
  ssh(change: Change, actor: Actor): Promise<Signer<UserCa>> {
    return this.#signer(change, actor, {
      kind: "ssh-user",
      build: async (key) => {
        const ca = userCa(key)
        return { ca, public: `ssh-ed25519 ${ca.public.toString("base64")}` }
      },
    })
  }

  /** Signs gateways' logins at targets. Not people's: what targets trust, nobody but the gateways may hold. */
  target(change: Change, actor: Actor): Promise<Signer<TargetCa>> {
    return this.#signer(change, actor, {
      kind: "ssh-target",
      build: async (key) => {
        const ca = targetCa(key)
        return { ca, public: `ssh-ed25519 ${ca.public.toString("base64")}` }
      },
    })
  }

  client(change: Change, actor: Actor): Promise<Signer<ClientCa>> {
    const { clock, name } = this.#options
    return this.#signer(change, actor, {
      kind: "client",
      build: async (key, { generation, known }) => {
        const now = clock.now()
        const ca = await clientCa({
          privateKey: key,
          certificate: known,
          name: `Sluice client CA ${generation} (${name})`,
          valid_from: now - limits.certificate_backdated_ms,
          valid_to: now + limits.authority_ms,
        })
        return { ca, public: ca.certificate }
      },
    })
  }

  async #signer<Ca>(change: Change, actor: Actor, { kind, build }: Making<Ca>): Promise<Signer<Ca>> {
    const { keys, clock } = this.#options
    const { name, type } = kinds[kind]
    const keyOf = (generation: number): Promise<Secret> => keys.private(generation === 1 ? name : `${name}_${generation}`, type)
    // A service is known by its first key, which stays when later ones take its place.
    const owner = createHash("sha256")
      .update(publicHalf(kind, await keyOf(1)))
      .digest("base64url")
    const own = (await change.authorities()).filter((record) => record.kind === kind && record.owner === owner)
    const newest = own.reduce<AuthorityRecord | undefined>((a, b) => (a && a.generation > b.generation ? a : b), undefined)
    if (newest && newest.retired_at === null) {
      const { ca } = await build(await keyOf(newest.generation), { generation: newest.generation, known: newest.public })
      return { ca, signing: (until) => extend(change, newest.id, until) }
    }
    const generation = (newest?.generation ?? 0) + 1
    const { ca, public: shown } = await build(await keyOf(generation), { generation, known: undefined })
    const now = clock.now()
    const id = createHash("sha256").update(shown).digest("base64url").slice(0, id_chars)
    const record = { id, kind, owner, generation, public: shown, created_at: now, signed_until: now, retired_at: null }
    await change.addAuthority(record)
    await note(change, { at: now, kind: "authority.made", actor, detail: viewOf(record) })
    return { ca, signing: (until) => extend(change, id, until) }
  }
}

interface Making<Ca> {
  readonly kind: CertificateAuthority
  /** `known`: its public part, once it has one. */
  build(key: Secret, of: { readonly generation: number; readonly known: string | undefined }): Promise<{ ca: Ca; public: string }>
}

const kinds = {
  "ssh-user": { name: "ssh_user_ca", type: "ssh-ed25519" },
  client: { name: "client_ca", type: "p256" },
  "ssh-target": { name: "ssh_target_ca", type: "ssh-ed25519" },
} as const
const id_chars = 16

function publicHalf(kind: CertificateAuthority, key: Secret): Buffer {
  return kind === "client" ? createPublicKey(key.reveal()).export({ type: "spki", format: "der" }) : userCa(key).public
}

async function extend(change: Change, id: string, until: Millis): Promise<void> {
  const record = (await change.authorities()).find((one) => one.id === id)
  if (record && until > record.signed_until) await change.changeAuthority({ ...record, signed_until: until })
}

const isTrusted = ({ retired_at, signed_until }: AuthorityRecord, now: Millis): boolean => retired_at === null || now < signed_until

const viewOf = ({ id, kind, public: shown, created_at, signed_until, retired_at }: AuthorityRecord): AuthorityView => ({
  id,
  kind,
  public: shown,
  not_before: created_at,
  not_after: retired_at === null ? null : signed_until,
  status: retired_at === null ? "signing" : "retired",
})
