// From the tree that PostgreSQL's parser makes of an SQL text to the values in it that belong to protected columns: put into one, or
// compared with one. An expression that has such a column in it is taken whole, up to the AND, OR or clause it stands in; and a name
// that such a value gets on its way (an alias, a WITH query's column, the other side of a join) is protected in the rest of the text.
// So too much may be found, and rarely too little: what views, functions and triggers make of a value is not in the text. Pure.
// Source: PostgreSQL 18, src/include/nodes/parsenodes.h; JSON as libpg_query writes it.
import type { FoundValues, ProtectedColumn } from "../core/protected_column.ts"
import { type Fields, namesIn } from "./statement_tree.ts"

const rounds_max = 32 // each finds a further name; a text with longer ways is not followed

/** Nodes with clauses or expressions side by side in them. What is not here and no statement is one expression. */
const clauses: ReadonlySet<string> = new Set(
  (
    "BoolExpr List JoinExpr RangeSubselect RangeFunction RangeTableSample RangeVar WithClause CommonTableExpr OnConflictClause " +
    "InferClause IndexElem SortBy WindowDef GroupingSet IntoClause ReturningClause Constraint DefElem TypeName RoleSpec String LockingClause"
  ).split(" "),
)

/** Their text is code, which is never hidden. */
const code: ReadonlySet<string> = new Set(["DoStmt", "CreateFunctionStmt"])

export interface Searched {
  readonly sql: string
  readonly columns: readonly ProtectedColumn[]
}

/** `tree`: of `sql`, which may hold several statements. */
export function protectedValues(tree: unknown, { sql, columns }: Searched): FoundValues {
  const search = new Search(tree, columns)
  for (let round = 0; round < rounds_max; round++) if (!search.run()) return search.found(sql)
  return "unknown"
}

class Search {
  readonly #tree: unknown
  readonly #columns: readonly ProtectedColumn[]
  /** Protected ones, whatever stands before the dot. */
  readonly #names: Set<string>
  readonly #params = new Set<number>()
  /** In bytes. */
  readonly #literals = new Set<number>()
  /** A value comes from "all columns" of something. */
  #unsure = false

  constructor(tree: unknown, columns: readonly ProtectedColumn[]) {
    this.#tree = tree
    const tables = [...nodesIn(tree)].filter(({ relname }) => typeof relname === "string")
    this.#columns = columns.filter((column) => column.table === undefined || tables.some((table) => isOf(column, table)))
    this.#names = new Set(this.#columns.map(({ name }) => name))
  }

  /** Whether there are more protected names after it than before. */
  run(): boolean {
    const before = this.#names.size
    if (before > 0) this.#visit(this.#tree)
    return this.#names.size > before
  }

  found(sql: string): FoundValues {
    if (this.#unsure) return "unknown"
    const starts = [...this.#literals]
    const bytes = Buffer.from(sql)
    const literals = bytes.length === sql.length ? starts : starts.map((start) => bytes.toString("utf8", 0, start).length)
    return { params: [...this.#params], literals }
  }

  #visit(value: unknown): void {
    if (typeof value !== "object" || value === null) return
    if (Array.isArray(value)) {
      for (const one of value) this.#visit(one)
      return
    }
    for (const [key, inner] of Object.entries(value as Fields)) {
      if (/^[A-Z]/.test(key)) this.#node(key, inner as Fields)
      else this.#visit(inner)
    }
  }

  #node(type: string, fields: Fields): void {
    switch (type) {
      case "InsertStmt":
        this.#rows(fields["relation"], fields["cols"], fields["selectStmt"])
        return this.#visit(fields)
      case "MergeStmt":
        for (const clause of listOf(fields["mergeWhenClauses"])) this.#merges(fields["relation"], clause["MergeWhenClause"] as Fields)
        return this.#visit({ ...fields, mergeWhenClauses: undefined })
      case "ResTarget":
        return this.#assigned(fields)
      case "ColumnDef":
      case "AlterTableCmd":
        return this.#names.has(String(fields["colname"] ?? fields["name"])) ? this.#take(fields) : this.#visit(fields)
      case "SubLink":
        return fields["testexpr"] === undefined ? this.#visit(fields["subselect"]) : this.#expression(fields)
      default:
        if (code.has(type)) return
        if (!type.endsWith("Stmt") && !clauses.has(type)) return this.#expression({ [type]: fields })
        this.#renamed(fields)
        return this.#visit(fields)
    }
  }

  /** One expression: all of it or nothing. */
  #expression(value: unknown): void {
    if (this.#names.size > 0 && this.#mentions(value)) this.#take(value)
  }

  /** A column gets a value, or a value a name. */
  #assigned({ name, val }: Fields): void {
    const of = valueOf(val)
    if (typeof name !== "string") return this.#visit(of)
    if (this.#names.has(name)) return this.#take(of)
    if (this.#mentions(of)) this.#names.add(name)
    this.#visit(of)
  }

  /** What rows are made of, by the columns they go to. */
  #rows(relation: unknown, cols: unknown, source: unknown): void {
    const names = columnNames(cols)
    if (names === undefined) {
      if (this.#columns.some((column) => column.table === undefined || isOf(column, relation as Fields))) this.#take(source)
      return
    }
    for (const [at, name] of names.entries()) if (this.#names.has(name)) this.#takeColumn(source, at)
  }

  #takeColumn(source: unknown, at: number): void {
    const select = ((source as Fields | undefined)?.["SelectStmt"] ?? source) as Fields | undefined
    if (select === undefined) return
    if (select["larg"] !== undefined) {
      this.#takeColumn(select["larg"], at)
      return this.#takeColumn(select["rarg"], at)
    }
    for (const row of listOf(select["valuesLists"])) this.#take(listOf((row["List"] as Fields | undefined)?.["items"])[at])
    if (select["valuesLists"] !== undefined) return
    const targets = listOf(select["targetList"])
    const stars = targets.slice(0, at + 1).some((target) => JSON.stringify(target).includes('"A_Star"'))
    const target = targets[at]?.["ResTarget"] as Fields | undefined
    if (stars || target === undefined) this.#take(source)
    else this.#take(target["val"])
  }

  #merges(relation: unknown, clause: Fields): void {
    const { targetList, values } = clause
    if (values === undefined) return this.#visit(clause)
    const names = columnNames(targetList)
    for (const [at, value] of listOf(values).entries()) {
      const protects =
        names === undefined ? this.#columns.some((one) => !one.table || isOf(one, relation as Fields)) : this.#names.has(names[at] ?? "")
      if (protects) this.#take(value)
      else this.#visit(value)
    }
    this.#visit(clause["condition"])
  }

  /** A subquery or function whose columns get other names. */
  #renamed(fields: Fields): void {
    const names = namesIn((fields["alias"] as Fields | undefined)?.["colnames"] ?? fields["aliascolnames"])
    if (names.length === 0) return
    if (names.some((name) => this.#names.has(name))) this.#take(fields)
    if (this.#mentions(fields)) for (const name of names) this.#names.add(name)
  }

  /** Whether something in it has a protected name: a column, an alias, a key of a JSON value. */
  #mentions(value: unknown): boolean {
    for (const fields of nodesIn(value)) {
      const { ColumnRef, ResTarget, A_Const } = fields as Readonly<Record<string, Fields | undefined>>
      const name = lastName(ColumnRef) ?? ResTarget?.["name"] ?? (A_Const?.["sval"] as Fields | undefined)?.["sval"]
      if (typeof name === "string" && this.#names.has(name)) return true
    }
    return false
  }

  /** All values in it, and the names of those it gets from elsewhere. */
  #take(value: unknown): void {
    for (const fields of nodesIn(value, "typeName")) {
      const { ColumnRef, ParamRef, A_Const } = fields as Readonly<Record<string, Fields | undefined>>
      if (ParamRef) this.#params.add(Number(ParamRef["number"]))
      const name = lastName(ColumnRef)
      if (name === "") this.#unsure = true
      else if (name !== undefined) this.#names.add(name)
      if (A_Const && A_Const["isnull"] !== true) this.#literals.add(Number(A_Const["location"] ?? 0))
    }
  }
}

/** Of `(a, b) = (x, y)` each column has its own part, where the parts can be told. */
function valueOf(val: unknown): unknown {
  const several = (val as Fields | undefined)?.["MultiAssignRef"] as Fields | undefined
  const row = (several?.["source"] as Fields | undefined)?.["RowExpr"] as Fields | undefined
  return row ? listOf(row["args"])[Number(several?.["colno"]) - 1] : val
}

const listOf = (value: unknown): readonly Fields[] => (Array.isArray(value) ? (value as Fields[]) : [])

/** Undefined: it says none, and so means all in their order. */
function columnNames(cols: unknown): readonly string[] | undefined {
  return Array.isArray(cols) ? listOf(cols).map((one) => String((one["ResTarget"] as Fields | undefined)?.["name"])) : undefined
}

const lastName = (column: Fields | undefined): string | undefined => (column ? namesIn(column["fields"]).at(-1) : undefined)

function isOf({ schema, table }: ProtectedColumn, { schemaname, relname }: Fields): boolean {
  return relname === table && (schema === undefined || schemaname === undefined || schemaname === schema)
}

/** Every object below `value`, itself included, but not below a field called `leftOut`. */
function* nodesIn(value: unknown, leftOut?: string): Generator<Fields, undefined> {
  const left = [value]
  while (left.length > 0) {
    const one = left.pop()
    if (typeof one !== "object" || one === null) continue
    if (!Array.isArray(one)) yield one as Fields
    for (const [key, inner] of Object.entries(one)) if (key !== leftOut) left.push(inner)
  }
}
