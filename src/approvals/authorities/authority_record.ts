// A certificate authority as the store keeps it, and the store's doors to it. The rules are in `authorities.ts`.
import type { AuthorityKind } from "../../api/schema.ts"
import type { Millis } from "../../core/clock.ts"

/** Those that sign certificates. */
export type CertificateAuthority = Exclude<AuthorityKind, "token">

/** Its private half is with the service it belongs to; this is what everybody needs to know of it. */
export interface AuthorityRecord {
  readonly id: string
  readonly kind: CertificateAuthority
  /** The service it belongs to. */
  readonly owner: string
  /** Counts the owner's authorities of this kind, from 1. */
  readonly generation: number
  /** An OpenSSH public key line, or a certificate in PEM. */
  readonly public: string
  readonly created_at: Millis
  /** The end of the last thing it signed. */
  readonly signed_until: Millis
  /** Since when it signs no more; what it signed before is good until its own end. */
  readonly retired_at: Millis | null
}

export interface AuthorityReads {
  /** All there ever were, newest first. */
  authorities(): Promise<readonly AuthorityRecord[]>
}

export interface AuthorityWrites {
  addAuthority(authority: AuthorityRecord): Promise<void>
  /** When it stopped, and until when what it signed is good. */
  changeAuthority(authority: AuthorityRecord): Promise<void>
}
