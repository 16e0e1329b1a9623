// Where the approval service is, for verbs that reach it without ssh: said on the line, in the environment, or in the person's own
// configuration. Undefined when nobody says so: then ssh leads to it.
import { readFile } from "node:fs/promises"
import { resolve } from "node:path"
import { Failure } from "./failure.ts"
import { type OwnConfig, own_config_path, readOwnConfig } from "./own_config.ts"

export interface Service {
  /** Without a slash at its end. */
  readonly url: string
  /** PEM of the CA that it is trusted by; undefined: the system's. */
  readonly ca: string | undefined
}

/** From --service, SLUICE_SERVICE, or `service:`; the CA from SLUICE_CA or `ca:`, a file. Throws a Failure. */
export async function findService(option: string | undefined): Promise<Service | undefined> {
  const own = await readOwnConfig()
  const given = option || process.env["SLUICE_SERVICE"] || own.service
  if (!given) return undefined
  const url = URL.canParse(given) ? new URL(given) : undefined
  if (!url || !/^https?:$/.test(url.protocol) || url.username || url.search || url.hash)
    throw new Failure(`${given} is not where a service is`, "It is a URL, such as https://gw.example.com:8443", { status: 2 })
  // What is shown there is a secret.
  if (url.protocol === "http:" && !/^(localhost|127\.\d+\.\d+\.\d+|\[::1\])$/.test(url.hostname))
    throw new Failure("the service must be https://, or on this machine", "", { status: 2 })
  return { url: url.href.replace(/\/$/, ""), ca: await readCa(own) }
}

async function readCa({ ca }: OwnConfig): Promise<string | undefined> {
  const path = process.env["SLUICE_CA"] || ca
  if (!path) return undefined
  try {
    return await readFile(resolve(own_config_path(), "..", path), "utf8")
  } catch (failure) {
    throw new Failure(`${path} cannot be read: ${(failure as Error).message}`, "`ca` names a file in PEM; `sluice ca` prints it.", {
      status: 2,
    })
  }
}
