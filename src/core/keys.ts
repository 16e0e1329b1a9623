// Where private keys come from, as those see it who need one. `config/state.ts` keeps them.
import type { Secret } from "./secret.ts"

export interface Keys {
  /** The private key `name`: "ssh-ed25519" in OpenSSH's own format (which ssh2 reads), "p256" as PKCS#8 PEM (JWTs, TLS). */
  private(name: string, kind: KeyKind): Promise<Secret>
}

export type KeyKind = "ssh-ed25519" | "p256"
