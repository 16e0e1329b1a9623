// Writes config/sluice.schema.json from the types in src/config/schema.ts: npm run schema
import { writeFileSync } from "node:fs"
import { jsonSchema } from "../src/config/schema.ts"

writeFileSync(new URL("../config/sluice.schema.json", import.meta.url), `${JSON.stringify(jsonSchema(), null, 2)}\n`)
