// Whether the store is still of the version that this program was made for. A newer service that shares it brings it on at its start, and
// what it then keeps there an older one would not understand: it could give what the newer one limits, and not tell gateways of an end.
// So the older one stops: it changes nothing, answers nothing, and its gateways hear nothing more, until it is replaced.
//
// A change looks inside its transaction (`postgres_store.ts`), so it is never beside the mark. For answers a look each second does,
// because whoever has brought a store on keeps still for longer than that (`migratePostgres`).
import { GatewayError } from "../../core/errors.ts"
import { limits } from "../../core/limits.ts"
import type { Log } from "../../observe/log.ts"
import { schema_version } from "./migrations.ts"

export class SchemaWatch {
  readonly #log: Log
  /** When the last look began that was answered; monotonic. Infinity: the store is not made yet, and nothing is asked of it. */
  #looked_at = Infinity
  #other: GatewayError | undefined

  constructor(log: Log) {
    this.#log = log
  }

  /** The store is of this version now. */
  begin(): void {
    this.#looked_at = performance.now()
  }

  /** Whether what was read before now may be used; `look` asks what version the store is of. Throws `stale` when it may not. */
  async confirm(look: () => Promise<number | undefined>): Promise<void> {
    const began = performance.now()
    if (began - this.#looked_at >= limits.store_look_ms) {
      const version = await look()
      this.#looked_at = began
      this.check(version)
    }
    if (this.#other) throw this.#other
  }

  /** `version` is what the store says. Throws `stale` when it is another one's. */
  check(version: number | undefined): void {
    if (version === schema_version) {
      if (this.#other) this.#log.info({ version }, "the store is of this program's version again")
      this.#other = undefined
      return
    }
    if (!this.#other) {
      const say = "another sluice has brought the store to its own version: this service changes and answers nothing any more; replace it"
      this.#log.error({ version, ours: schema_version }, say)
    }
    this.#other = new GatewayError("stale", {}, new Error(`the store is of version ${version}, this service of ${schema_version}`))
    throw this.#other
  }
}
