// A private key and a PKCS#10 request for it, made by openssl: what somebody has who asks for a client certificate.
import { mkdtempSync, readFileSync } from "node:fs"
import { join } from "node:path"
import { must } from "./run.ts"
import { scratch } from "./scratch.ts"
import { mustHave } from "./tools.ts"

export interface CsrFiles {
  /** PEM, mode 0600, as psql wants it. */
  readonly keyFile: string
  readonly csr: string
  readonly folder: string
}

let root: string | undefined

/** `key`: as openssl's -newkey, with its -pkeyopt. */
export async function csr(key: readonly string[] = ["ec", "-pkeyopt", "ec_paramgen_curve:P-256"]): Promise<CsrFiles> {
  root ??= scratch("csr")
  const folder = mkdtempSync(join(root, "one-"))
  const [keyFile, file] = [join(folder, "client.key"), join(folder, "client.csr")]
  // The name in it is anybody's: what it says is not believed.
  await must(mustHave("openssl"), ["req", "-new", "-newkey", ...key, "-nodes", "-subj", "/CN=root", "-keyout", keyFile, "-out", file])
  return { keyFile, csr: readFileSync(file, "utf8"), folder }
}
