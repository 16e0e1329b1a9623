// From a credential to an identity: the one place that mints identities. Knows the configured users; a credential that is sound
// but belongs to none of them is nobody's.
import { createHash } from "node:crypto"
import type { User } from "../config/config.ts"
import { GatewayError } from "../core/errors.ts"
import { mintIdentity, type Identity } from "../core/identity.ts"
import type { Credential, SshPublicKey } from "./credential.ts"
import { loginKey, type LoginKey } from "./ssh_signature.ts"
import type { TokenVerifier } from "./tokens.ts"

export interface Authenticator {
  /** Whether `key` is some user's. Not a login: it only answers a client that asks before it signs. */
  recognises(key: SshPublicKey): boolean
  /** Throws `unauthenticated`, with the reason as its cause; `stale` when a token's keys cannot be had. */
  identify(credential: Credential): Promise<Identity>
}

export interface AuthenticatorOptions {
  readonly users: readonly User[]
  readonly verifier: TokenVerifier
}

/** Throws with words for the operator when a configured key cannot be used, or is two people's. */
export function createAuthenticator({ users, verifier }: AuthenticatorOptions): Authenticator {
  const byName = new Map(users.map((user) => [user.name, user]))
  const byKey = keysOf(users)
  return {
    recognises: (key) => byKey.has(nameOf(key)),
    async identify(credential) {
      switch (credential.kind) {
        case "ssh_key": {
          const owned = byKey.get(nameOf(credential.key))
          if (!owned) throw unauthenticated(`nobody has the key ${fingerprint(credential.key)}`)
          const refusal = owned.key.refuses(credential)
          if (refusal !== undefined) throw unauthenticated(`${fingerprint(credential.key)}: ${refusal}`)
          return identityOf(owned.user, `ssh-key ${fingerprint(credential.key)}`, Infinity)
        }
        case "token": {
          const { subject, via, expires_at } = await verifier.verify(credential.token.reveal(), {
            use: "target",
            target: credential.target,
          })
          const user = byName.get(subject)
          if (!user) throw unauthenticated(`a token for ${subject}, who is not a user here`)
          return identityOf(user, `token (${via})`, expires_at)
        }
      }
    },
  }
}

interface OwnedKey {
  readonly user: User
  readonly key: LoginKey
}

function keysOf(users: readonly User[]): ReadonlyMap<string, OwnedKey> {
  const keys = new Map<string, OwnedKey>()
  for (const user of users) {
    for (const key of user.ssh_keys) {
      const other = keys.get(nameOf(key))?.user
      if (other && other !== user) throw new Error(`${other.name} and ${user.name} have the same ssh key ${fingerprint(key)}`)
      try {
        keys.set(nameOf(key), { user, key: loginKey(key) })
      } catch (failure) {
        throw new Error(`${user.name}'s ssh key ${fingerprint(key)}: ${(failure as Error).message}`, { cause: failure })
      }
    }
  }
  return keys
}

/** The type is part of it: a blob offered under another type's name is another key. */
const nameOf = (key: SshPublicKey): string => `${key.type} ${key.blob.toString("base64")}`

/** As ssh-keygen -l prints it. */
const fingerprint = (key: SshPublicKey): string => `SHA256:${createHash("sha256").update(key.blob).digest("base64").replace(/=+$/, "")}`

const identityOf = (user: User, via: string, until: number): Identity =>
  mintIdentity({ subject: user.name, groups: user.groups, via, until })

const unauthenticated = (why: string): GatewayError => new GatewayError("unauthenticated", {}, new Error(why))
