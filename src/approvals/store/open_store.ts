// The store that the config names.
import type { StoreConfig } from "../../config/config.ts"
import type { Clock } from "../../core/clock.ts"
import type { Log } from "../../observe/log.ts"
import type { Store } from "../store.ts"
import { openPostgresStore } from "./postgres_store.ts"
import { openSqliteStore } from "./sqlite_store.ts"

/** Rejects, with words for the operator that name the store. */
export async function openStore(config: StoreConfig, options: { readonly clock: Clock; readonly log: Log }): Promise<Store> {
  try {
    return config.kind === "sqlite" ? await openSqliteStore(config.path, options.clock) : await openPostgresStore(config, options)
  } catch (failure) {
    const name = config.kind === "sqlite" ? config.path : config.name
    throw new Error(`${name}: the store cannot be opened: ${failure instanceof Error ? failure.message : String(failure)}`, {
      cause: failure,
    })
  }
}
