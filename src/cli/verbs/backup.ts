// `sluice backup` and `sluice restore`: the embedded store to a file and back, on the service's machine.
import { backUp, restore } from "../../approvals/store/sqlite_backup.ts"
import { config_default, readConfig } from "../config_file.ts"
import { jsonOption, show, type AddVerb, type JsonOption } from "../context.ts"
import { Failure } from "../failure.ts"

interface Options extends JsonOption {
  readonly config: string
}

export const addBackup: AddVerb = (program, context) => {
  program
    .command("backup")
    .argument("<file>", "where to; it must not be there")
    .description("copy the embedded store, also while the service runs")
    .option("--config <file>", "the config", config_default)
    .option(...jsonOption)
    .action(async (file: string, options: Options) => {
      const { path, state } = await embedded(options.config)
      await backUp(path, file).catch((failure: unknown) => {
        throw new Failure(`no copy was made: ${(failure as Error).message}`, "Choose another place, or look at the disk.")
      })
      show(
        context,
        options,
        { file, store: path },
        () => `${file} holds all of ${path}, checked. Not in it: the keys and recordings in ${state}.`,
      )
    })
  program
    .command("restore")
    .argument("<file>", "what `sluice backup` made")
    .description("put a copy in the place of the embedded store; the service must not run, and every grant of the copy ends")
    .option("--config <file>", "the config", config_default)
    .option(...jsonOption)
    .action(async (file: string, options: Options) => {
      const { path } = await embedded(options.config)
      const restored = await restore(path, file).catch((failure: unknown) => {
        throw new Failure(
          `nothing was restored: ${(failure as Error).message}`,
          "Stop the service, and name a file that `sluice backup` made.",
        )
      })
      const kept = restored.kept === undefined ? "" : ` What was there is kept as ${restored.kept}.`
      const grants = restored.ended === 1 ? "One grant was ended" : `${restored.ended} grants were ended`
      const ended = restored.ended === 0 ? "No grant was live in it." : `${grants}: what was revoked since must not come back.`
      show(context, options, restored, () => `${path} is what it was in ${file}. ${ended}${kept}`)
    })
}

async function embedded(config_path: string): Promise<{ readonly path: string; readonly state: string }> {
  const { approvals, state } = await readConfig(config_path)
  if (approvals.store.kind === "sqlite") return { path: approvals.store.path, state }
  throw new Failure(`the store is ${approvals.store.name}`, "PostgreSQL's own tools copy it: pg_dump, pg_basebackup.", { status: 2 })
}
