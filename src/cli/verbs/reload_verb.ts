// `sluice reload`: has the Sluice that runs on this machine with this config read it again, and says what came of it.
import { dirname, resolve } from "node:path"
import { readBounded } from "../../config/references.ts"
import { readYaml } from "../../config/source.ts"
import { limits } from "../../core/limits.ts"
import { visible } from "../../core/visible.ts"
import { config_default } from "../config_file.ts"
import { type AddVerb, type JsonOption, jsonOption, show } from "../context.ts"
import { askReload, roles } from "../running/control.ts"
import { Failure } from "../failure.ts"
import type { Outcome } from "../running/reloader.ts"

export const addReload: AddVerb = (program, context) => {
  program
    .command("reload")
    .description("have the sluice that runs here use its config as the file is now")
    .option("--config <file>", "the config it was started with", config_default)
    .option(...jsonOption)
    .action(async ({ config: path, json }: JsonOption & { readonly config: string }) => {
      const folder = await stateFolder(path)
      const state = { path: (...names: string[]) => [folder, ...names].join("/") }
      let found = false
      for (const role of roles) {
        const outcome = await askReload(state, role).catch((failure: unknown) => {
          throw new Failure(`the sluice that runs here cannot be asked: ${(failure as Error).message}`, "Its log says more.")
        })
        if (!outcome) continue
        found = true
        if (!outcome.ok) context.status = 1
        if (json || outcome.ok) show(context, json ? { json } : {}, { role, ...outcome }, () => words(outcome))
        else context.io.error(`${words(outcome)}\n`)
      }
      if (found) return
      throw new Failure(
        `no sluice runs with the state folder ${folder}`,
        "It runs on another machine, or was started with another config or another `state`: start that one again.",
      )
    })
}

function words(outcome: Outcome): string {
  if (!outcome.ok) return `${outcome.problems.map(visible).join("\n")}\nThe config in use is the one it was.`
  return outcome.changes.length === 0 ? "Nothing has changed." : `The new config is in use: ${outcome.changes.join(", ")}.`
}

/** As the file says it, whatever else is wrong with it: what is wrong is the running one's to say. */
async function stateFolder(path: string): Promise<string> {
  const text = await readBounded(path, limits.config_bytes_max).catch((failure: unknown) => {
    throw new Failure((failure as Error).message, "--config names the file it was started with.", { status: 2 })
  })
  const { value } = readYaml(text)
  const written = typeof value === "object" && value !== null && "state" in value ? value.state : undefined
  return resolve(dirname(resolve(path)), typeof written === "string" ? written : "data")
}
