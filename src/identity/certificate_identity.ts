// From a certificate to an identity: an SSH user's, shown at a login, or a TLS client's. Whose it is and until when is the
// certificate's word; whether they are there, and whether the login it came from has ended, is the directory's word of now.
import type { X509Certificate } from "node:crypto"
import type { Clock } from "../core/clock.ts"
import { GatewayError } from "../core/errors.ts"
import { isLoginId } from "../core/ids.ts"
import { mintIdentity, type Identity } from "../core/identity.ts"
import type { FindPerson } from "./authenticator.ts"
import { certificateLogin, type FindAuthority, recognisesCertificate } from "./certificate_login.ts"
import { certifiedClient } from "./client_certificate.ts"
import type { Credential } from "./credential.ts"
import { comesFrom } from "./source_address.ts"

export interface CertificateOptions {
  readonly ssh: FindAuthority
  /** The CAs that may have issued it, by their name. */
  readonly client: (certificate: X509Certificate) => Promise<readonly X509Certificate[]>
  /** Networks that client certificates are good from, in CIDR form; empty: from anywhere. SSH ones say so themselves. */
  readonly from: readonly string[]
  readonly clock: Clock
}

/** All three throw plain Errors with words for the log, and `stale` when the directory cannot be asked. */
export class CertificateIdentities {
  readonly #options: CertificateOptions
  readonly #find: FindPerson

  constructor(options: CertificateOptions, find: FindPerson) {
    this.#options = options
    this.#find = find
  }

  recognises(blob: Buffer): Promise<boolean> {
    return recognisesCertificate(blob, this.#options.clock.now(), this.#options.ssh)
  }

  async ssh(credential: Extract<Credential, { kind: "ssh_key" }>, from: string | undefined): Promise<Identity> {
    const { clock, ssh } = this.#options
    const { subjects, login, via, until } = await certificateLogin({ credential, from, now: clock.now() }, ssh)
    return this.#identity({ subjects, login, via, until })
  }

  async client(certificate: X509Certificate, from: string): Promise<Identity> {
    const { client, clock, from: networks } = this.#options
    if (networks.length > 0 && !comesFrom(from, networks.join(","))) throw new Error("it is not good from this address")
    const { subject, ...rest } = certifiedClient(certificate, await client(certificate), clock.now())
    return this.#identity({ subjects: [subject], ...rest })
  }

  async #identity({ subjects, login, via, until }: Claimed): Promise<Identity> {
    if (login !== undefined && !isLoginId(login)) throw new Error("the certificate names a login as none is named")
    const known: { readonly subject: string; readonly groups: readonly string[] }[] = []
    for (const subject of subjects) {
      const person = await this.#find({ subject, login })
      if (person) known.push({ subject, groups: person.groups })
    }
    const [person] = known
    if (!person || known.length > 1)
      throw new Error(`the certificate names ${known.length} people who are here${login ? " with a login that goes on" : ""}; it takes one`)
    return mintIdentity({ ...person, via, until, login })
  }
}

interface Claimed {
  readonly subjects: readonly string[]
  readonly login: string | undefined
  readonly via: string
  readonly until: number
}

/** A refusal as what a client is told. */
export const refusedAs =
  (code: "unauthenticated" | "certificate_refused") =>
  (failure: unknown): never => {
    throw GatewayError.from(failure, code)
  }
