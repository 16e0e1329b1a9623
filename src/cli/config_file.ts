// The config that an operator's verb was pointed at; its problems are told with their places.
import { loadConfig, type Problem } from "../config/load.ts"
import type { Config } from "../config/config.ts"
import { visible } from "../core/visible.ts"
import { Failure } from "./failure.ts"

export const config_default = "sluice.yaml"

/** Throws a Failure with status 2. */
export async function readConfig(path: string): Promise<Config> {
  const loaded = await loadConfig(path)
  if (loaded.ok) return loaded.config
  throw new Failure(problemLines(loaded.problems), `\`sluice check --config ${path}\` says when it is sound.`, { status: 2 })
}

/** file:line:column: words */
export const problemLines = (problems: readonly Problem[]): string =>
  problems.map(({ file, line, column, message }) => `${file}:${line}:${column}: ${visible(message)}`).join("\n")
