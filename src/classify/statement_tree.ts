// From the tree that PostgreSQL's parser makes of an SQL text to what is done in it: each operation with its kind and table, the
// functions that may do more, and what a reader should know. Pure. What has no place here is `unknown`, never a read.
// Source: PostgreSQL 18, src/include/nodes/parsenodes.h; JSON as libpg_query writes it.
import { limits } from "../core/limits.ts"
import { type StatementFacts, type StatementKind, type StatementPart, type TableName, tableText, unseen } from "../core/statement.ts"
import { isPure } from "./pure_functions.ts"
import { settingKind } from "./setting_kind.ts"
import { kindOfStatement } from "./statement_kinds.ts"

/** A node without its name: fields, of which some are nodes in turn, `{ Name: { … } }`. */
export type Fields = Readonly<Record<string, unknown>>

/** `tree`: of one text, which may hold several statements. */
export function factsOfTree(tree: { readonly stmts?: readonly unknown[] }): StatementFacts {
  const statements = (tree.stmts ?? []) as readonly Fields[]
  if (statements.length === 0) return { parts: [{ kind: "utility" }], calls: [], notes: ["it is empty"] }
  const found = new Found()
  for (const { stmt } of statements) found.visit(stmt, new Set())
  return found.facts()
}

/** Names of WITH queries that a table's name would mean instead. */
type Scope = ReadonlySet<string>

class Found {
  readonly #parts = new Map<string, StatementPart>()
  readonly #calls = new Set<string>()
  readonly #notes = new Set<string>()

  facts(): StatementFacts {
    if (this.#parts.size > limits.statement_parts_max) return unseen("it does too many things to look at each")
    const parts = [...this.#parts.values()]
    return { parts: parts.length > 0 ? parts : [{ kind: "unknown" }], calls: [...this.#calls].slice(0, 32), notes: [...this.#notes] }
  }

  visit(value: unknown, scope: Scope): void {
    if (typeof value !== "object" || value === null) return
    if (Array.isArray(value)) {
      for (const one of value) this.visit(one, scope)
      return
    }
    for (const [key, inner] of Object.entries(value)) {
      if (/^[A-Z]/.test(key)) this.#node(key, inner as Fields, scope)
      // Of a set operation both sides are a SELECT without its name.
      else if (key === "larg" || key === "rarg") this.#node("SelectStmt", inner as Fields, scope)
      else this.visit(inner, scope)
    }
  }

  #node(type: string, fields: Fields, scope: Scope): void {
    switch (type) {
      case "SelectStmt":
        return this.#select(fields, scope)
      case "InsertStmt":
        return this.#insert(fields, scope)
      case "UpdateStmt":
      case "DeleteStmt":
        return this.#change(type === "UpdateStmt" ? "update" : "delete", fields, scope)
      case "MergeStmt":
        return this.#merge(fields, scope)
      case "RangeVar": {
        const table = tableOf(fields)
        if (table && (table.schema !== undefined || !scope.has(table.name))) this.#add({ kind: "read", table })
        return
      }
      case "FuncCall":
        this.#call(namesIn(fields["funcname"]))
        return this.visit(fields, scope)
      case "A_Expr":
        this.#operator(fields["name"])
        return this.visit(fields, scope)
      case "SubLink":
        this.#operator(fields["operName"])
        return this.visit(fields, scope)
      case "SortBy":
        this.#operator(fields["useOp"])
        return this.visit(fields, scope)
      default:
        if (type.endsWith("Stmt")) return this.#statement(type, fields, scope)
        return this.visit(fields, scope)
    }
  }

  #select(fields: Fields, outer: Scope): void {
    const scope = this.#with(fields, outer)
    this.#add({ kind: "read" })
    const into = (fields["intoClause"] as Fields | undefined)?.["rel"] as Fields | undefined
    if (into) this.#add({ kind: "ddl", ...tablePart(into) })
    if (fields["lockingClause"] !== undefined) {
      // The server does not take it for a read either: it runs in no transaction that may only read.
      this.#add({ kind: "utility" })
      this.#notes.add("it locks the rows it reads")
    }
    this.visit(without(fields, "withClause", "intoClause", "lockingClause"), scope)
  }

  #insert(fields: Fields, outer: Scope): void {
    const scope = this.#with(fields, outer)
    const target = this.#changed(fields["relation"])
    this.#add({ kind: "insert", ...target })
    if ((fields["onConflictClause"] as Fields | undefined)?.["action"] === "ONCONFLICT_UPDATE") this.#add({ kind: "update", ...target })
    this.#values(fields, scope)
  }

  /** What an INSERT puts in: a VALUES list by itself reads nothing. */
  #values(fields: Fields, scope: Scope): void {
    const source = (fields["selectStmt"] as Fields | undefined)?.["SelectStmt"] as Fields | undefined
    const rest = without(fields, "withClause", "relation")
    if (source?.["valuesLists"] === undefined || source["withClause"] !== undefined) return this.visit(rest, scope)
    this.visit(source, scope)
    this.visit(without(rest, "selectStmt"), scope)
  }

  #change(kind: "update" | "delete", fields: Fields, outer: Scope): void {
    const scope = this.#with(fields, outer)
    const every_row = looksAtColumn(fields["whereClause"]) ? {} : ({ every_row: true } as const)
    this.#add({ kind, ...this.#changed(fields["relation"]), ...every_row })
    this.visit(without(fields, "withClause", "relation"), scope)
  }

  #merge(fields: Fields, outer: Scope): void {
    const scope = this.#with(fields, outer)
    const target = this.#changed(fields["relation"])
    const joined = looksAtColumn(fields["joinCondition"])
    for (const { MergeWhenClause: clause } of (fields["mergeWhenClauses"] ?? []) as { MergeWhenClause?: Fields }[]) {
      const command = /^CMD_(INSERT|UPDATE|DELETE)$/.exec(String(clause?.["commandType"]))?.[1]
      const every_row = command === "INSERT" || joined || looksAtColumn(clause?.["condition"]) ? {} : ({ every_row: true } as const)
      if (command) this.#add({ kind: command.toLowerCase() as StatementKind, ...target, ...every_row })
      else if (clause?.["commandType"] !== "CMD_NOTHING") this.#add({ kind: "unknown" })
    }
    this.visit(without(fields, "withClause", "relation"), scope)
  }

  /** A table whose rows change. Of those of the server's own that may do anything: pg_settings sets what is written to it. */
  #changed(relation: unknown): { readonly table?: TableName } {
    const part = tablePart(relation as Fields | undefined)
    const { schema, name } = part.table ?? { schema: undefined, name: "" }
    if (schema === "pg_catalog" || schema === "information_schema" || (schema === undefined && name.startsWith("pg_"))) {
      this.#notes.add("it changes the server's own tables")
      this.#add({ kind: "unknown" })
    }
    return part
  }

  /** Visits the WITH queries; answers what the rest of the statement sees. One sees those before it, a recursive one all. */
  #with(fields: Fields, outer: Scope): Scope {
    const clause = fields["withClause"] as Fields | undefined
    if (!clause) return outer
    const queries = ((clause["ctes"] ?? []) as { CommonTableExpr?: Fields }[]).map((one) => one.CommonTableExpr ?? {})
    const scope = new Set(outer)
    if (clause["recursive"] === true) for (const { ctename } of queries) scope.add(String(ctename))
    for (const query of queries) {
      this.visit(query, new Set(scope))
      scope.add(String(query["ctename"]))
    }
    return scope
  }

  #statement(type: string, fields: Fields, scope: Scope): void {
    switch (type) {
      case "ExplainStmt": {
        const options = (fields["options"] ?? []) as { DefElem?: Fields }[]
        if (options.some(({ DefElem }) => DefElem?.["defname"] === "analyze" && !isOff(DefElem["arg"])))
          return this.visit(fields["query"], scope)
        this.#add({ kind: "read" })
        return this.#callsIn(fields["query"]) // planning evaluates functions that are declared to change nothing
      }
      case "PrepareStmt":
      case "DeclareCursorStmt":
        return this.visit(fields["query"], scope)
      case "ExecuteStmt":
        this.#notes.add("it runs a statement that was prepared by name")
        this.#add({ kind: "unknown" })
        return this.visit(fields["params"], scope)
      case "CopyStmt":
        return this.#copy(fields, scope)
      case "CallStmt": {
        const call = (fields["funccall"] ?? {}) as Fields
        this.#calls.add(namesIn(call["funcname"]).join("."))
        this.#add({ kind: "call" })
        return this.visit(call["args"], scope)
      }
      case "CreateTableAsStmt": {
        const into = (fields["into"] as Fields | undefined)?.["rel"] as Fields | undefined
        this.#add({ kind: "ddl", ...(into ? tablePart(into) : {}) })
        return this.visit(fields["query"], scope)
      }
      case "TruncateStmt":
        for (const table of tablesIn(fields)) {
          this.#add({ kind: "ddl", table, drops: true })
          this.#add({ kind: "delete", table, every_row: true, drops: true })
        }
        return
      case "VariableSetStmt": {
        const { kind, note } = settingKind(fields)
        if (note !== undefined) this.#notes.add(note)
        return this.#add({ kind })
      }
      default:
        return this.#other(type, fields, scope)
    }
  }

  #copy(fields: Fields, scope: Scope): void {
    const relation = fields["relation"] as Fields | undefined
    this.#add({ kind: "copy", ...(relation ? tablePart(relation) : {}) })
    if (fields["is_from"] === true) this.#add({ kind: "insert", ...this.#changed(relation) })
    else if (relation) this.#add({ kind: "read", ...tablePart(relation) })
    if (fields["is_program"] === true || fields["filename"] !== undefined) {
      this.#notes.add(fields["is_program"] === true ? "it runs a program on the server" : "it reads or writes a file on the server")
      this.#add({ kind: "unknown" })
    }
    this.visit(without(fields, "relation"), scope)
  }

  /** Statements that are told by their name alone. */
  #other(type: string, fields: Fields, scope: Scope): void {
    const { kind, runs, drops } = kindOfStatement(type, fields)
    const taking = drops ? ({ drops } as const) : {}
    const tables = type === "CreateSchemaStmt" ? [] : tablesIn(fields)
    for (const table of tables) this.#add({ kind, table, ...taking })
    if (tables.length === 0) this.#add({ kind, ...taking })
    // It takes away rights, and whatever its owner has.
    if (type === "DropOwnedStmt") this.#add({ kind: "ddl", ...taking })
    if (type === "LockStmt") this.#notes.add("it locks tables")
    if (type === "CreateSchemaStmt") this.visit(fields["schemaElts"], scope)
    else if (runs) this.#callsIn(fields)
  }

  #callsIn(value: unknown): void {
    if (typeof value !== "object" || value === null) return
    const call = (value as { FuncCall?: Fields }).FuncCall
    if (call) this.#call(namesIn(call["funcname"]))
    for (const inner of Object.values(value)) this.#callsIn(inner)
  }

  #call(names: readonly string[]): void {
    const [schema, name] = names.length === 1 ? ["pg_catalog", names[0]] : names
    if (names.length <= 2 && schema === "pg_catalog" && name !== undefined && isPure(name)) return
    this.#calls.add(names.join("."))
    this.#add({ kind: "unknown" })
  }

  /** One without a schema is taken for the server's own, as functions of that kind are few and hard to see. */
  #operator(name: unknown): void {
    const names = namesIn(name)
    if (names.length < 2 || names[0] === "pg_catalog") return
    this.#calls.add(`operator ${names.join(".")}`)
    this.#add({ kind: "unknown" })
  }

  #add(part: StatementPart): void {
    const { kind, table, every_row, drops } = part
    this.#parts.set(JSON.stringify([kind, table && tableText(table), table?.schema, every_row, drops]), part)
  }
}

/** Without those fields. */
function without(fields: Fields, ...names: readonly string[]): Fields {
  return Object.fromEntries(Object.entries(fields).filter(([name]) => !names.includes(name)))
}

function tableOf({ schemaname, relname }: Fields): TableName | undefined {
  if (typeof relname !== "string") return undefined
  return { schema: typeof schemaname === "string" ? schemaname : undefined, name: relname }
}

function tablePart(fields: Fields | undefined): { readonly table?: TableName } {
  const table = fields && tableOf(fields)
  return table ? { table } : {}
}

/** The strings of a list of names. */
export function namesIn(list: unknown): string[] {
  if (!Array.isArray(list)) return []
  return list.map((one: { String?: { sval?: string } }) => one.String?.sval ?? "")
}

/** Every table that is named below, and of a DROP those it drops. */
function tablesIn(value: unknown): TableName[] {
  if (typeof value !== "object" || value === null) return []
  const fields = value as Fields
  const own = tableOf(fields)
  const dropped = typeof fields["removeType"] === "string" ? droppedTables(fields["removeType"], fields["objects"]) : []
  return [...(own ? [own] : []), ...dropped, ...Object.values(fields).flatMap(tablesIn)]
}

const dropping: ReadonlySet<string> = new Set(["TABLE", "VIEW", "MATVIEW", "SEQUENCE", "INDEX", "FOREIGN_TABLE"])
/** What belongs to a table: its name comes last. */
const belonging: ReadonlySet<string> = new Set(["TRIGGER", "RULE", "POLICY"])

function droppedTables(what: string, objects: unknown): TableName[] {
  const type = what.replace(/^OBJECT_/, "")
  if ((!dropping.has(type) && !belonging.has(type)) || !Array.isArray(objects)) return []
  return objects.flatMap((object: { List?: { items?: unknown } }) => {
    const names = namesIn(object.List?.items)
    const [name, schema] = (belonging.has(type) ? names.slice(0, -1) : names).reverse()
    return name === undefined ? [] : [{ schema, name }]
  })
}

function looksAtColumn(value: unknown): boolean {
  if (typeof value !== "object" || value === null) return false
  return Object.entries(value).some(([key, inner]) => key === "ColumnRef" || key === "CurrentOfExpr" || looksAtColumn(inner))
}

/** The argument of an option that switches it off. */
function isOff(argument: unknown): boolean {
  const text = JSON.stringify(argument ?? null).toLowerCase()
  return /"(sval|boolval)":"?(false|off|0|no|f|n)"?|"ival":(0\b|\{\})/.test(text)
}
