// What the gateway makes of one config: people's keys, targets by name, its certificate. All of it is made before any of it is used,
// so that a config that cannot be used changes nothing, and one that can takes the place of the one before in one step.
import type { Config } from "../config/config.ts"
import { sameValue } from "../config/same_value.ts"
import type { Clock } from "../core/clock.ts"
import type { Target } from "../core/target.ts"
import { type Authenticator, createAuthenticator, type FindPerson } from "../identity/authenticator.ts"
import { configuredAuthorities } from "../identity/ssh_authorities.ts"
import type { TokenVerifier } from "../identity/tokens.ts"
import type { Authorities } from "./control_plane/authorities.ts"
import { type Certificates, loadCertificates } from "./certificates.ts"

export interface Settings {
  readonly config: Config
  readonly authenticator: Authenticator
  /** One that says what it said in the config before is the same object. */
  readonly targets: ReadonlyMap<string, Target>
  readonly certificates: Certificates
}

export interface SettingsOptions {
  readonly verifier: TokenVerifier
  readonly authorities: Authorities
  readonly people: FindPerson
  readonly clock: Clock
}

/** Rejects with words for the operator. `before`: what is in use; what is the same is taken from it. */
export async function makeSettings(config: Config, before: Settings | undefined, options: SettingsOptions): Promise<Settings> {
  const { verifier, authorities, people, clock } = options
  const { users, ssh_cas, certificate_from: from } = config.identity
  const configured = configuredAuthorities(ssh_cas)
  const authenticator = createAuthenticator({
    users,
    verifier,
    people,
    certificates: {
      ssh: async (blob) => configured(blob) ?? (await authorities.ssh(blob)),
      client: (certificate) => authorities.client(certificate),
      from,
      clock,
    },
  })
  const targets = new Map(
    config.targets.map((target) => {
      const known = before?.targets.get(target.name)
      return [target.name, known && sameValue(known, target) ? known : target]
    }),
  )
  const { name, http, tls } = config.gateway
  const sameTls = before && sameValue(before.config.gateway.tls, tls)
  const certificates = sameTls
    ? before.certificates
    : await loadCertificates({ state: config.state, name, domain: http?.domain, tls, clock })
  return { config, authenticator, targets, certificates }
}
