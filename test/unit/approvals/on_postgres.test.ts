// What is asked, decided, granted and fed, once more on a real PostgreSQL server: what holds on one store holds on the other.
import { after } from "node:test"

// Before anything looks at it.
process.env["SLUICE_TEST_STORE"] = "postgres"

const shared = ["extensions", "feed", "grant_uses", "grants", "long_poll", "requests", "sessions", "store"]

for (const name of shared) await import(`./${name}.test.ts`)

const { stopStores } = await import("../../support/store.ts")
after(stopStores)
