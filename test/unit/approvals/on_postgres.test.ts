// Every test of the approval service that comes to a store, once more on a real PostgreSQL server: what holds on one store holds
// on the other. A test is one of them when it takes its store from where the others do; a new one is found by itself.
import { readdirSync, readFileSync } from "node:fs"
import { join } from "node:path"
import { after } from "node:test"

// Before anything looks at it.
process.env["SLUICE_TEST_STORE"] = "postgres"

const folder = import.meta.dirname
/** Its ten seconds are the HTTP server's, and no store has a part in them. */
const once = "slow_clients.test.ts"
const comesToAStore = /from "(\.{1,2}\/(service|company)|(\.\.\/)+support\/store)\.ts"/

for (const name of readdirSync(folder, { recursive: true, encoding: "utf8" }).toSorted()) {
  if (!name.endsWith(".test.ts") || name === once || !comesToAStore.test(readFileSync(join(folder, name), "utf8"))) continue
  await import(join(folder, name))
}

await import("./postgres_store.ts")
await import("./postgres_migrations.ts")
await import("./postgres_side_by_side.ts")

const { stopStores } = await import("../../support/store.ts")
after(stopStores)
