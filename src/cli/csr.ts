// A new P-256 key and a PKCS#10 request that is signed with it. Who it is for is the approval service's word, so it names nobody.
import "reflect-metadata" // x509 will not load without it
import * as x509 from "@peculiar/x509"
import { Secret } from "../core/secret.ts"

const algorithm = { name: "ECDSA", namedCurve: "P-256", hash: "SHA-256" } as const

/** Both in PEM. */
export async function newCsr(): Promise<{ readonly key: Secret; readonly csr: string }> {
  const keys = await crypto.subtle.generateKey(algorithm, true, ["sign", "verify"])
  const request = await x509.Pkcs10CertificateRequestGenerator.create({ keys, signingAlgorithm: algorithm })
  const key = x509.PemConverter.encode(await crypto.subtle.exportKey("pkcs8", keys.privateKey), "PRIVATE KEY")
  return { key: new Secret(`${key}\n`), csr: request.toString("pem") }
}
