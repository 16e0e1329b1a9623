// `sluice check`: every problem of a config with its place, exit 2; one line and 0 when it is sound.
import { loadConfig } from "../../config/load.ts"
import { visibleJson } from "../../core/visible.ts"
import { CommanderError } from "commander"
import { config_default, problemLines } from "../config_file.ts"
import { jsonOption, type AddVerb, type JsonOption } from "../context.ts"

export const addCheck: AddVerb = (program, { io }) => {
  program
    .command("check")
    .description("say what is wrong with a config, with its place")
    .option("--config <file>", "the config", config_default)
    .option(...jsonOption)
    .action(async ({ config: path, json }: JsonOption & { readonly config: string }) => {
      const loaded = await loadConfig(path)
      const problems = loaded.ok ? [] : loaded.problems
      if (json) io.write(`${visibleJson({ ok: loaded.ok, problems })}\n`)
      else if (loaded.ok) io.write(`${path} is sound.\n`)
      else io.error(`${problemLines(problems)}\n`)
      if (!loaded.ok) throw new CommanderError(2, "sluice.config", "")
    })
}
