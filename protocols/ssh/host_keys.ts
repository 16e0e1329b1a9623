// The keys a client sees: the gateway's host key, plain, and certified by the gateway's host CA for the one name the client
// came for. Certificates are minted when they are asked for, kept, and made anew well before they end.
import type { ParsedKey } from "ssh2"
import type { Clock, Millis } from "../../src/core/clock.ts"
import type { Keys } from "../../src/core/keys.ts"
import { limits } from "../../src/core/limits.ts"
import { certifiedKey, mintCertificate, parsePrivateKey } from "./host_certificate.ts"

const skew_ms = 5 * 60_000 // clients whose clock is behind

export class HostKeys {
  readonly #key: ParsedKey
  readonly #authority: ParsedKey
  readonly #clock: Clock
  readonly #certified = new Map<string, { readonly key: ParsedKey; readonly renew_at: Millis }>()

  constructor(key: ParsedKey, authority: ParsedKey, clock: Clock) {
    this.#key = key
    this.#authority = authority
    this.#clock = clock
  }

  static async load(keys: Keys, clock: Clock): Promise<HostKeys> {
    const [key, authority] = await Promise.all([keys.private("ssh_host", "ssh-ed25519"), keys.private("ssh_host_ca", "ssh-ed25519")])
    return new HostKeys(parsePrivateKey(key), parsePrivateKey(authority), clock)
  }

  /** What a server that is to be `name` presents; the certificate first, the plain key for clients that know none. */
  for(name: string): readonly ParsedKey[] {
    return [this.#certifiedFor(name), this.#key]
  }

  #certifiedFor(name: string): ParsedKey {
    const now = this.#clock.now()
    const known = this.#certified.get(name)
    if (known && now < known.renew_at) return known.key
    const certificate = mintCertificate({
      key: this.#key,
      authority: this.#authority,
      principal: name,
      valid_from: now - skew_ms,
      valid_to: now + limits.ssh_certificate_ms,
    })
    const key = certifiedKey(this.#key, certificate)
    if (this.#certified.size >= limits.ssh_certificates_max) this.#certified.clear()
    this.#certified.set(name, { key, renew_at: now + limits.ssh_certificate_ms / 2 })
    return key
  }
}
