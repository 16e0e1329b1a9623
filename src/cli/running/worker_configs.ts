// A worker's part of a reload: it makes ready for a config that it is sent, says whether it can, and uses it when it is told to.
import { loadSource } from "../../config/load.ts"
import type { SourceMessage } from "../../config/config_source.ts"
import type { Config } from "../../config/config.ts"
import type { Gateway, Prepared } from "../../gateway/gateway.ts"
import { problemLines } from "../config_file.ts"
import type { FromWorker, ToWorker } from "./worker_messages.ts"

/** Throws with words for the operator. */
export async function configOf(source: SourceMessage): Promise<Config> {
  const loaded = await loadSource(source)
  if (!loaded.ok) throw new Error(problemLines(loaded.problems))
  return loaded.config
}

export class WorkerConfigs {
  readonly #gateway: Promise<Pick<Gateway, "prepare">>
  readonly #say: (message: FromWorker) => void
  /** Those it was sent and has not been told about yet: one, or two while the one before is being dropped. */
  readonly #prepared = new Map<number, Promise<Prepared>>()

  /** `gateway`: once it has started. */
  constructor(gateway: Promise<Pick<Gateway, "prepare">>, say: (message: FromWorker) => void) {
    this.#gateway = gateway
    this.#say = say
  }

  hear(message: ToWorker): void {
    if (message.kind === "config") this.#prepare(message.number, message.source)
    if (message.kind === "use" || message.kind === "drop") this.#end(message.number, message.kind)
  }

  #prepare(number: number, source: SourceMessage): void {
    const prepared = this.#gateway.then(async (gateway) => gateway.prepare(await configOf(source)))
    this.#prepared.set(number, prepared)
    this.#answer("prepared", number, prepared)
  }

  #end(number: number, kind: "use" | "drop"): void {
    const prepared = this.#prepared.get(number)
    this.#prepared.delete(number)
    const ended = prepared?.then((one) => one[kind]()) ?? Promise.reject(new Error("it was not sent this config"))
    if (kind === "use") this.#answer("used", number, ended)
    else ended.catch(() => {}) // it was never ready
  }

  #answer(kind: "prepared" | "used", number: number, done: Promise<unknown>): void {
    done.then(
      () => this.#say({ kind, number, problem: undefined }),
      (failure: unknown) => this.#say({ kind, number, problem: (failure as Error).message }),
    )
  }
}
