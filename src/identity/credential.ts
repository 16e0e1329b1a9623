// What a client shows to say who it is, before anything was checked.
import type { Secret } from "../core/secret.ts"

/** A public key in SSH wire form (RFC 4253, section 6.6). */
export interface SshPublicKey {
  /** The algorithm named in the wire form, such as "ssh-ed25519". */
  readonly type: string
  readonly blob: Buffer
}

export type Credential =
  /** A publickey login that was signed (RFC 4252, section 7): `signed` is the data, `algorithm` the one it names,
   * `signature` the bare signature over it (ECDSA as ASN.1 DER, which is what ssh2 hands over). For a certificate `key` is the
   * certificate and the signature is in wire form, its algorithm before it. */
  | {
      readonly kind: "ssh_key"
      readonly key: SshPublicKey
      readonly algorithm: string
      readonly signed: Buffer
      readonly signature: Buffer
    }
  /** A token for `target`; "cookie": one that a browser keeps for it. */
  | { readonly kind: "token" | "cookie"; readonly token: Secret; readonly target: string }
