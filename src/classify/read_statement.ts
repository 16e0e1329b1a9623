// What an SQL text does, read here and now by PostgreSQL's own parser (libpg_query, in WebAssembly). For the thread of
// `statement_worker.ts`: importing it starts the WebAssembly in whatever thread does.
import { loadModule, parseSync } from "libpg-query"
import { type StatementFacts, unseen } from "../core/statement.ts"
import { factsOfTree } from "./statement_tree.ts"

/** Settles when texts can be read. */
export const loadParser = (): Promise<void> => loadModule()

/** Throws what is no error of the text: then the parser may be broken. */
export function readStatement(sql: string): StatementFacts {
  if (sql.trim() === "") return factsOfTree({})
  let tree
  try {
    tree = parseSync(sql)
  } catch (failure) {
    if (failure instanceof Error && failure.name === "SqlError") return unseen("it could not be parsed")
    throw failure
  }
  return factsOfTree(tree)
}
