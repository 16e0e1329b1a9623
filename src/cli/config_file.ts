// The config that an operator's verb was pointed at; its problems are told with their places.
import { type Loaded, loadConfig, type Problem } from "../config/load.ts"
import type { Config } from "../config/config.ts"
import { visible } from "../core/visible.ts"
import { Failure } from "./failure.ts"

export const config_default = "sluice.yaml"

/** Throws a Failure with status 2. */
export const readConfig = async (path: string): Promise<Config> => (await readSound(path)).config

/** With what it was made from. Throws a Failure with status 2. */
export async function readSound(path: string): Promise<Extract<Loaded, { ok: true }>> {
  const loaded = await loadConfig(path)
  if (loaded.ok) return loaded
  throw new Failure(problemLines(loaded.problems), `\`sluice check --config ${path}\` says when it is sound.`, { status: 2 })
}

/** file:line:column: words */
export const problemLine = ({ file, line, column, message }: Problem): string => `${file}:${line}:${column}: ${visible(message)}`

export const problemLines = (problems: readonly Problem[]): string => problems.map(problemLine).join("\n")
