// A person's certificates: what they ask for, how long it lasts, and that it is on record. The CAs are `authorities.ts`'s.
import { randomBytes } from "node:crypto"
import type { Certificates as Answer } from "../../api/schema.ts"
import type { CurrentConfig } from "../../config/current_config.ts"
import type { Clock } from "../../core/clock.ts"
import { GatewayError } from "../../core/errors.ts"
import { limits } from "../../core/limits.ts"
import { readCsr } from "../../identity/client_certificate.ts"
import { fingerprint } from "../../identity/ssh_fingerprint.ts"
import { readPublicKeyLine } from "../../identity/user_certificate.ts"
import type { Authorities } from "./authorities.ts"
import { byPerson, type Caller, note } from "../journal.ts"
import type { Store } from "../store.ts"

export interface CertificatesOptions {
  readonly store: Store
  readonly authorities: Authorities
  readonly current: CurrentConfig
  readonly clock: Clock
}

export class Certificates {
  readonly #options: CertificatesOptions

  constructor(options: CertificatesOptions) {
    this.#options = options
  }

  /** Throws `invalid` when nothing is asked for, or what is shown cannot be certified. */
  async issue(
    caller: Caller,
    wanted: { readonly ssh_public_key?: string | undefined; readonly csr?: string | undefined },
  ): Promise<Answer> {
    const { store, authorities, current, clock } = this.#options
    if (wanted.ssh_public_key === undefined && wanted.csr === undefined)
      throw new GatewayError("invalid", { what: "an SSH public key, a CSR or both are needed" })
    const sshKey = wanted.ssh_public_key === undefined ? undefined : readPublicKeyLine(wanted.ssh_public_key)
    if (wanted.ssh_public_key !== undefined && !sshKey)
      throw new GatewayError("invalid", {
        what: "this is not an OpenSSH public key that can be certified: one line, such as ssh-ed25519 AAAA…",
      })
    const tlsKey = wanted.csr === undefined ? undefined : await readCsr(wanted.csr)
    if (wanted.csr !== undefined && !tlsKey)
      throw new GatewayError("invalid", { what: "this is not a PKCS#10 request in PEM, signed with its own ECDSA, Ed25519 or RSA key" })
    const actor = byPerson(caller)
    const subject = caller.person.name
    return store.change(async (change) => {
      const now = clock.now()
      const { certificate_ms, certificate_from } = current().identity
      // To the second, as certificates count; never beyond the login, or else what the caller's own proof is good for.
      const until = Math.floor(Math.min(now + certificate_ms, caller.until) / 1000) * 1000
      if (until <= now) throw new GatewayError("unauthenticated")
      const serial = randomBytes(8).readBigUInt64BE() >> 1n
      const facts = {
        subject,
        login: caller.login ?? undefined,
        serial,
        valid_from: now - limits.certificate_backdated_ms,
        valid_to: until,
      }
      let ssh_certificate = null
      if (sshKey) {
        const { ca, signing } = await authorities.ssh(change, actor)
        ssh_certificate = ca.sign({ ...facts, key: sshKey, from: certificate_from })
        await signing(until)
      }
      let certificate = null
      if (tlsKey) {
        const { ca, signing } = await authorities.client(change, actor)
        certificate = await ca.sign({ ...facts, publicKey: tlsKey })
        await signing(until)
      }
      const detail = {
        subject,
        login: caller.login,
        serial: serial.toString(),
        expires_at: until,
        ssh_key: sshKey ? fingerprint(sshKey) : null,
        client: tlsKey !== undefined,
      }
      await note(change, { at: now, kind: "certificate.issued", actor, detail })
      return { subject, expires_at: until, ssh_certificate, certificate }
    })
  }
}
