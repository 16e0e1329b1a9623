// `ca`: the certificate that clients must trust for TLS to the gateway, when it is the gateway's own CA.
import { readFile } from "node:fs/promises"
import type { Config } from "../config/config.ts"
import { localCaFile } from "../gateway/certificates.ts"
import { localCa } from "./ways_in.ts"

/** PEM. Throws, with words, when there is none to give. */
export async function readCa(config: Config): Promise<string> {
  if (!localCa(config)) throw new Error("this gateway has a certificate of the operator's; there is no CA of its own to trust")
  try {
    return await readFile(localCaFile(config.state), "utf8")
  } catch (failure) {
    throw new Error("there is no CA yet: it is made when the gateway starts for the first time", { cause: failure })
  }
}
