// One statement on its way to PostgreSQL and its answer, as a query object of `pg`. It is `pg`'s own but for what each decision pays
// for ten times: a prepared statement's columns are asked for once a connection and not at each run (a table that changed meanwhile is
// the server's 0A000), values go as text without being looked at twice, and what one turn of the event loop asks goes out in one
// write. It owns no connection and no bound.
import { Query } from "pg"

/** Of several statements in one text, the last one's. */
export interface Answer {
  /** "SELECT", "INSERT", "COMMIT" */
  readonly command: string
  readonly rows: Record<string, unknown>[]
  /** As the server counts them; null where it counts none. */
  readonly rowCount: number | null
}

/** What is known of one connection. */
export interface Line {
  /** By the name of a prepared statement. */
  readonly columns: Map<string, readonly Column[]>
  /** What is written now waits for the end of this turn. */
  corked: boolean
}

interface Column {
  readonly name: string
  readonly parse: (text: string) => unknown
}

export interface Statement {
  readonly sql: string
  readonly values: readonly unknown[]
  /** Undefined: it is not prepared. */
  readonly name: string | undefined
}

export interface Waiting {
  readonly resolve: (answer: Answer) => void
  readonly reject: (failure: Error) => void
}

export interface QueryOptions {
  readonly line: Line
  readonly parserOf: (type: number) => (text: string) => unknown
  /** Not called again after the first word. */
  readonly waiting: Waiting
}

/** What `pg` hands to a query of the connection it is sent on (`lib/connection.js`). */
interface Wire {
  readonly stream: { cork(): void; uncork(): void }
  bind(config: { portal: string; statement: string; values: readonly (string | null)[] }): void
  execute(config: { portal: string; rows: number | undefined }): void
  sync(): void
}

/** Its types leave out what any query object has. */
const QueryOfPg = Query as unknown as new (sql: string) => { submit(wire: Wire): Error | null }

/**
 * Answers once the server is ready for the next. What settles the promise is known from the start: where `pg` sets a callback later, for a promise
 * or a time limit, all that hangs on it outlives V8's young generation (measured: each pause of the collector is five times as long).
 */
export class PostgresQuery extends QueryOfPg {
  /** Read by `pg`. */
  readonly name: string | undefined
  readonly values: readonly unknown[]
  readonly #options: QueryOptions
  #columns: readonly Column[] | undefined
  #rows: Record<string, unknown>[] = []
  #answer: Answer = { command: "", rows: [], rowCount: null }
  #failure: Error | undefined

  constructor({ sql, values, name }: Statement, options: QueryOptions) {
    super(sql)
    this.name = name
    this.values = values
    this.#options = options
    this.#columns = name === undefined ? undefined : options.line.columns.get(name)
  }

  override submit(wire: Wire): Error | null {
    this.#cork(wire)
    const values = this.#columns && textOf(this.values)
    // The first run also reads the statement in and asks which columns there are: `pg` does that by itself.
    if (this.name === undefined || !values) return super.submit(wire)
    wire.bind({ portal: "", statement: this.name, values })
    wire.execute({ portal: "", rows: undefined })
    wire.sync()
    return null
  }

  handleRowDescription({ fields }: { readonly fields: readonly { readonly name: string; readonly dataTypeID: number }[] }): void {
    this.#columns = fields.map(({ name, dataTypeID }) => ({ name, parse: this.#options.parserOf(dataTypeID) }))
  }

  handleDataRow({ fields }: { readonly fields: readonly (string | null)[] }): void {
    const columns = this.#columns ?? []
    const row: Record<string, unknown> = {}
    try {
      for (let index = 0; index < columns.length; index++) {
        const { name, parse } = columns[index] as Column
        const text = fields[index] ?? null
        row[name] = text === null ? null : parse(text)
      }
      this.#rows.push(row)
    } catch (failure) {
      this.#failure ??= failure as Error
    }
  }

  handleCommandComplete({ text }: { readonly text: string }): void {
    const [command = "", ...counts] = text.split(" ")
    const count = counts.at(-1)
    this.#answer = { command, rows: this.#rows, rowCount: count === undefined ? null : Number(count) }
    this.#rows = []
    if (this.name !== undefined) this.#options.line.columns.set(this.name, this.#columns ?? [])
  }

  handleError(failure: Error): void {
    this.#options.waiting.reject(failure)
  }

  handleReadyForQuery(): void {
    const { resolve, reject } = this.#options.waiting
    if (this.#failure) reject(this.#failure)
    else resolve(this.#answer)
  }

  /** Until what runs now has come to its end, promises and all. */
  #cork({ stream }: Wire): void {
    const { line } = this.#options
    if (line.corked) return
    line.corked = true
    stream.cork()
    process.nextTick(() => {
      line.corked = false
      stream.uncork()
    })
  }
}

/** Undefined where a value is of a kind that `pg` knows better how to write. */
function textOf(values: readonly unknown[]): (string | null)[] | undefined {
  const texts: (string | null)[] = []
  for (const value of values) {
    if (value === null || typeof value === "string") texts.push(value)
    else if (typeof value === "number") texts.push(String(value))
    else return undefined
  }
  return texts
}
