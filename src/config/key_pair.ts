// A certificate and its private key, as `cert` and `key` stand beside each other in the file.
import { createPrivateKey, X509Certificate } from "node:crypto"
import type { Secret } from "../core/secret.ts"
import type { Reading } from "./reading.ts"
import type { Path } from "./source.ts"

export interface KeyPair {
  /** PEM, the chain with it. */
  readonly cert: string
  readonly key: Secret
}

export function readKeyPair(reading: Reading, path: Path, file: { readonly cert: string; readonly key: string }): KeyPair | undefined {
  const key = reading.secret([...path, "key"], file.key)
  let certificate: X509Certificate
  try {
    certificate = new X509Certificate(file.cert)
  } catch {
    reading.problem([...path, "cert"], "this is not a certificate in PEM; to name a file, write file:name.crt")
    return undefined
  }
  if (!key) return undefined
  try {
    if (!certificate.checkPrivateKey(createPrivateKey(key.reveal())))
      reading.problem([...path, "key"], "this key does not belong to the certificate")
  } catch {
    reading.problem([...path, "key"], "this is not a private key in PEM without a passphrase")
  }
  return { cert: file.cert, key }
}
