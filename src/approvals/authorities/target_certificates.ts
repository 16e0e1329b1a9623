// Certificates that gateways log in to targets with. A gateway gets one on a grant that is good now, for an account of the target
// that the grant is for, never beyond the grant's end; what it has on record says who is behind it.
import { randomBytes } from "node:crypto"
import type { z } from "zod"
import type { TargetCertificate, targetCertificateWanted } from "../../api/target_certificate.ts"
import type { CurrentConfig } from "../../config/current_config.ts"
import type { Clock } from "../../core/clock.ts"
import { GatewayError } from "../../core/errors.ts"
import type { GrantId } from "../../core/ids.ts"
import { limits } from "../../core/limits.ts"
import { fingerprint } from "../../identity/ssh_fingerprint.ts"
import { readPublicKeyLine } from "../../identity/user_certificate.ts"
import type { Authorities } from "./authorities.ts"
import { byGateway, standing } from "../grants/grant_uses.ts"
import { note } from "../journal.ts"
import type { Store } from "../store.ts"

export interface TargetCertificatesOptions {
  readonly store: Store
  readonly authorities: Authorities
  readonly current: CurrentConfig
  readonly clock: Clock
}

type Wanted = z.output<typeof targetCertificateWanted> & { readonly from: string }

export class TargetCertificates {
  readonly #options: TargetCertificatesOptions

  constructor(options: TargetCertificatesOptions) {
    this.#options = options
  }

  /** Throws `over` and `not_found` for the grant, `forbidden` for what it does not cover, `invalid` for a key that cannot be certified. */
  issue(id: GrantId, { gateway, from, session, login, public_key }: Wanted): Promise<TargetCertificate> {
    const { store, authorities, current, clock } = this.#options
    const key = readPublicKeyLine(public_key)
    if (!key) throw new GatewayError("invalid", { what: "this is not an OpenSSH public key that can be certified" })
    return store.change(async (change) => {
      const now = clock.now()
      const grant = await standing(change, id, now)
      if (grant.first_use_ms !== null) throw new GatewayError("over") // it has not begun
      const target = current().targets.find(({ name }) => name === grant.target)
      if (target?.protocol !== "ssh" || !("certificate" in target.auth)) throw new GatewayError("forbidden")
      if (!target.logins.includes(login) || (grant.as !== null && !grant.as.includes(login))) throw new GatewayError("forbidden")
      // To the second, as certificates count.
      const until = Math.floor(Math.min(now + limits.target_certificate_ms, grant.ends_at) / 1000) * 1000
      if (until <= now) throw new GatewayError("over")
      const serial = randomBytes(8).readBigUInt64BE() >> 1n
      const actor = byGateway({ gateway, from })
      const { ca, signing } = await authorities.target(change, actor)
      const certificate = ca.sign({
        key,
        login,
        key_id: `${session} ${id} ${grant.subject}`,
        allow: target.allow,
        serial,
        valid_from: now - limits.certificate_backdated_ms,
        valid_to: until,
      })
      await signing(until)
      const detail = {
        subject: grant.subject,
        target: grant.target,
        login,
        serial: serial.toString(),
        expires_at: until,
        ssh_key: fingerprint(key),
      }
      await note(change, { at: now, kind: "target_certificate.issued", actor, request: grant.request, grant: id, session, detail })
      return { certificate, expires_at: until }
    })
  }
}
