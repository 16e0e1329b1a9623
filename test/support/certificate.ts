// A self-signed certificate for a server in a test, made by openssl.
import { readFileSync } from "node:fs"
import { isIP } from "node:net"
import { join } from "node:path"
import { must } from "./run.ts"
import { scratch } from "./scratch.ts"
import { mustHave } from "./tools.ts"

/** PEM of a P-256 certificate for `names` (host names or addresses), valid for two days, and of its key. */
export async function selfSigned(names: readonly string[]): Promise<{ cert: string; key: string }> {
  const folder = scratch("certificate")
  const [key, cert] = [join(folder, "key.pem"), join(folder, "cert.pem")]
  const alternatives = names.map((name) => `${isIP(name) ? "IP" : "DNS"}:${name}`).join(",")
  const kind = "-newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2".split(" ")
  const subject = ["-subj", `/CN=${names[0]}`, "-addext", `subjectAltName=${alternatives}`]
  await must(mustHave("openssl"), ["req", "-x509", ...kind, ...subject, "-keyout", key, "-out", cert])
  return { cert: readFileSync(cert, "utf8"), key: readFileSync(key, "utf8") }
}
