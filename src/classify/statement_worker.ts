// The thread that reads long SQL texts for `statement_reader.ts`: one text in, what it does out. What breaks the parser ends it.
import { parentPort } from "node:worker_threads"
import { loadModule } from "libpg-query"
import { readStatement } from "./statement_reader.ts"

await loadModule()
parentPort?.on("message", (sql: string) => parentPort?.postMessage(readStatement(sql), []))
