// `ca`: the certificate that clients must trust for TLS to the gateway, when it is the gateway's own CA.
import { readFile } from "node:fs/promises"
import type { Config } from "../../config/config.ts"
import { localCaFile } from "../../gateway/certificates.ts"
import { Failure } from "../failure.ts"
import { localCa } from "../../config/ways_in.ts"

/** PEM. Throws a Failure when there is none to give. */
export async function readCa(config: Config): Promise<string> {
  if (!localCa(config))
    throw new Failure(
      "this gateway has no CA of its own",
      "Its certificate is the operator's: clients that know who issued it need nothing else.",
    )
  const pem = await readFile(localCaFile(config.state), "utf8").catch(() => undefined)
  if (pem === undefined) throw new Failure("there is no CA yet", "It is made when the gateway starts for the first time.")
  return pem
}
