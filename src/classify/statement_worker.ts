// The thread that reads SQL texts for `statement_reader.ts`: one text in, what it does out. What breaks the parser ends it.
import { parentPort } from "node:worker_threads"
import { loadParser, readStatement } from "./read_statement.ts"

await loadParser()
parentPort?.on("message", (sql: string) => parentPort?.postMessage(readStatement(sql), []))
