// Reloads the config of a running Sluice: reads the file again, checks it as a start does, and puts it in the place of the one in use,
// or says why not and leaves everything as it is. One at a time; what is asked for meanwhile is one more afterwards.
import { configChanges, type Sourced } from "../../config/config_changes.ts"
import { loadConfig, type Problem } from "../../config/load.ts"
import { needsRestart } from "../../config/restart_only.ts"
import type { Log } from "../../observe/log.ts"
import { metrics } from "../../observe/metrics.ts"
import { problemLine } from "../config_file.ts"
import type { Running } from "./start.ts"

/** For whoever asked: what is different now, or what is wrong, a line each; no secret is in it. */
export type Outcome =
  | { readonly ok: true; readonly changes: readonly string[] }
  | { readonly ok: false; readonly problems: readonly string[] }

export interface ReloaderOptions {
  readonly path: string
  readonly inUse: Sourced
  readonly running: Pick<Running, "reload" | "refused">
  readonly log: Log
}

export class Reloader {
  readonly #options: ReloaderOptions
  #inUse: Sourced
  #last: Promise<unknown> = Promise.resolve()
  #next: Promise<Outcome> | undefined

  constructor(options: ReloaderOptions) {
    this.#options = options
    this.#inUse = options.inUse
  }

  /** Never rejects. */
  reload(): Promise<Outcome> {
    this.#next ??= this.#last.then(() => {
      this.#next = undefined // from here on the file may have been read already
      return this.#reload()
    })
    this.#last = this.#next
    return this.#next
  }

  async #reload(): Promise<Outcome> {
    const { path, running, log } = this.#options
    const loaded = await loadConfig(path)
    if (!loaded.ok) return this.#refuse(loaded.problems.map(problemLine), loaded.digest)
    const { config, source } = loaded
    const { digest } = source
    const fixed: readonly Problem[] = needsRestart(this.#inUse.config, config, source)
    if (fixed.length > 0) return this.#refuse(fixed.map(problemLine), digest)
    if (source.same(this.#inUse.source)) {
      log.info({ digest }, "the config says what it said: nothing has changed")
      return { ok: true, changes: [] }
    }
    const changes = configChanges(this.#inUse, { config, source })
    try {
      await running.reload({ config, source }, { digest, words: changes })
    } catch (failure) {
      log.error({ err: failure, digest }, "the new config could not be put in place")
      return this.#refuse([`it could not be put in place: ${(failure as Error).message}`], digest)
    }
    this.#inUse = { config, source }
    metrics.reloaded("reloaded")
    log.info({ digest, changes }, "the new config is in use")
    return { ok: true, changes }
  }

  async #refuse(problems: readonly string[], digest: string | undefined): Promise<Outcome> {
    const { running, log } = this.#options
    metrics.reloaded("refused")
    log.error({ digest, problems }, "the new config cannot be used; the one in use stays")
    await running
      .refused({ digest, words: problems })
      .catch((err: unknown) => log.warn({ err }, "that a config was refused could not be put on record"))
    return { ok: false, problems }
  }
}
