// The thread that looks for protected values in SQL texts for `value_finder.ts`: one text in, where they are out. What breaks the parser
// ends it.
import { parentPort } from "node:worker_threads"
import { loadModule, parseSync } from "libpg-query"
import type { FoundValues } from "../core/protected_column.ts"
import { protectedValues } from "./protected_values.ts"
import type { ValueQuestion } from "./value_finder.ts"

await loadModule()
parentPort?.on("message", (question: ValueQuestion) => parentPort?.postMessage(find(question), []))

/** Throws what is no error of the text: then the parser may be broken. */
function find({ sql, columns }: ValueQuestion): FoundValues {
  let tree
  try {
    tree = parseSync(sql)
  } catch (failure) {
    if (failure instanceof Error && failure.name === "SqlError") return "unknown"
    throw failure
  }
  return protectedValues(tree, { sql, columns })
}
