// The person's own configuration, ~/.config/sluice/config: where the gateway and the service are.
import { readFile } from "node:fs/promises"
import { homedir } from "node:os"
import { join } from "node:path"
import { parse } from "yaml"
import { z } from "zod"
import { Failure } from "./failure.ts"

const shape = z.strictObject({
  /** What `ssh` connects to. */
  gateway: z.string().optional(),
  /** The URL of the approval service. */
  service: z.string().optional(),
  /** A file with the CA of the service's certificate, beside this one. */
  ca: z.string().optional(),
})
export type OwnConfig = z.output<typeof shape>

export const own_config_path = (): string => join(process.env["XDG_CONFIG_HOME"] || join(homedir(), ".config"), "sluice", "config")

/** Empty when there is none. Throws a Failure with status 2. */
export async function readOwnConfig(): Promise<OwnConfig> {
  const path = own_config_path()
  let text
  try {
    text = await readFile(path, "utf8")
  } catch (failure) {
    if ((failure as NodeJS.ErrnoException).code === "ENOENT") return {}
    throw new Failure(`${path} cannot be read: ${(failure as Error).message}`, "", { status: 2 })
  }
  try {
    return shape.parse(parse(text))
  } catch {
    throw new Failure(
      `${path} is not understood`,
      "It holds lines such as\n  gateway: gw.example.com\n  service: https://gw.example.com:8443",
      { status: 2 },
    )
  }
}
