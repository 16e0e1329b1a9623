// From a credential to an identity: the one place that mints identities. Knows the configured users; a credential that is sound
// but belongs to none of them is nobody's.
import type { X509Certificate } from "node:crypto"
import type { User } from "../config/config.ts"
import { GatewayError } from "../core/errors.ts"
import type { LoginId } from "../core/ids.ts"
import { mintIdentity, type Identity } from "../core/identity.ts"
import { CertificateIdentities, type CertificateOptions, refusedAs } from "./certificate_identity.ts"
import type { Credential, SshPublicKey } from "./credential.ts"
import { isCertificateName } from "./ssh_certificate.ts"
import { keyBehind, viaKey } from "./proof_key.ts"
import { fingerprint } from "./ssh_fingerprint.ts"
import { loginKey, type LoginKey } from "./ssh_signature.ts"
import type { TokenVerifier } from "./tokens.ts"

export interface Authenticator {
  /** Whether `key` is some user's, or a certificate that could be. Not a login: it only answers a client that asks before it signs. */
  recognises(key: SshPublicKey): Promise<boolean>
  /**
   * Throws `unauthenticated`, with the reason as its cause; `stale` when a token's keys cannot be had. `from`: the client's
   * address and port; without it, a certificate that is good from some addresses only is not good.
   */
  identify(credential: Credential, from?: string): Promise<Identity>
  /** Whether the SSH key that `identity` was proven with is still its owner's, and what signed its token still trusted, where there was one. */
  stands(identity: Identity): boolean
  /** Who showed `certificate` in a TLS handshake, from this address and port. Throws `certificate_refused`. */
  identifyClient(certificate: X509Certificate, from: string): Promise<Identity>
}

export interface AuthenticatorOptions {
  readonly users: readonly User[]
  readonly verifier: TokenVerifier
  /** What the approval service says of people now; left out: those in `users` are all there are. */
  readonly people?: FindPerson
  /** Left out: no certificate is good. */
  readonly certificates?: CertificateOptions
}

/** Somebody's groups; undefined when they are not there (any more), or `login` has ended. Throws `stale` when it cannot be asked. */
export type FindPerson = (who: {
  readonly subject: string
  readonly login?: LoginId | undefined
}) => Promise<{ readonly groups: readonly string[] } | undefined>

/** Throws with words for the operator when a configured key cannot be used, or is two people's. */
export function createAuthenticator({ users, verifier, people, certificates }: AuthenticatorOptions): Authenticator {
  const byName = new Map(users.map((user) => [user.name, user]))
  const byKey = keysOf(users)
  const find: FindPerson = people ?? (async ({ subject }) => byName.get(subject))
  /** While nobody can be asked, people of the config are who it says: what they may open is checked then anew. */
  const findNow: FindPerson = (who) =>
    find(who).catch((failure: unknown) => {
      const user = who.login === undefined ? byName.get(who.subject) : undefined
      if (user && failure instanceof GatewayError && failure.code === "stale") return user
      throw failure
    })
  const configured = async (user: User, via: string, until: number): Promise<Identity> => {
    const person = await findNow({ subject: user.name })
    if (!person) throw unauthenticated(`${user.name} was disabled, or is not there any more`)
    return mintIdentity({ subject: user.name, groups: person.groups, via, until })
  }
  const certified = certificates && new CertificateIdentities(certificates, findNow)
  const keyOwners = new Map([...byKey.values()].map(({ user, fingerprint: print }) => [print, user.name]))
  const owns = (subject: string, via: string): boolean => {
    const key = keyBehind(via)
    return key === undefined || keyOwners.get(key) === subject
  }
  return {
    stands: ({ subject, via, token_key }) => owns(subject, via) && (token_key === undefined || verifier.trusts(token_key)),
    async recognises(key) {
      if (!isCertificateName(key.type)) return byKey.has(nameOf(key))
      return certified !== undefined && certified.recognises(key.blob)
    },
    async identifyClient(certificate, from) {
      if (!certified) throw new GatewayError("certificate_refused")
      return certified.client(certificate, from).catch(refusedAs("certificate_refused"))
    },
    async identify(credential, from) {
      switch (credential.kind) {
        case "ssh_key": {
          if (isCertificateName(credential.key.type)) {
            if (!certified) throw unauthenticated("certificates are not taken here")
            return certified.ssh(credential, from).catch(refusedAs("unauthenticated"))
          }
          const owned = byKey.get(nameOf(credential.key))
          if (!owned) throw unauthenticated(`nobody has the key ${fingerprint(credential.key.blob)}`)
          const refusal = owned.key.refuses(credential)
          if (refusal !== undefined) throw unauthenticated(`${fingerprint(credential.key.blob)}: ${refusal}`)
          return configured(owned.user, viaKey(credential.key.blob), Infinity)
        }
        case "token":
        case "cookie": {
          const {
            subject,
            via,
            expires_at,
            login,
            key: token_key,
          } = await verifier.verify(credential.token.reveal(), {
            use: credential.kind === "cookie" ? "cookie" : "target",
            target: credential.target,
          })
          if (!owns(subject, via)) throw unauthenticated(`a token for ${subject}, by a key that is not theirs any more`)
          const person = await find({ subject, login })
          if (!person) throw unauthenticated(`a token for ${subject}, who is not a user here, or whose login has ended`)
          return mintIdentity({ subject, groups: person.groups, via: `${credential.kind} (${via})`, until: expires_at, login, token_key })
        }
      }
    },
  }
}

interface OwnedKey {
  readonly user: User
  readonly key: LoginKey
  readonly fingerprint: string
}

function keysOf(users: readonly User[]): ReadonlyMap<string, OwnedKey> {
  const keys = new Map<string, OwnedKey>()
  for (const user of users) {
    for (const key of user.ssh_keys) {
      const other = keys.get(nameOf(key))?.user
      if (other && other !== user) throw new Error(`${other.name} and ${user.name} have the same ssh key ${fingerprint(key.blob)}`)
      try {
        keys.set(nameOf(key), { user, key: loginKey(key), fingerprint: fingerprint(key.blob) })
      } catch (failure) {
        throw new Error(`${user.name}'s ssh key ${fingerprint(key.blob)}: ${(failure as Error).message}`, { cause: failure })
      }
    }
  }
  return keys
}

/** The type is part of it: a blob offered under another type's name is another key. */
const nameOf = (key: SshPublicKey): string => `${key.type} ${key.blob.toString("base64")}`

const unauthenticated = (why: string): GatewayError => new GatewayError("unauthenticated", {}, new Error(why))
