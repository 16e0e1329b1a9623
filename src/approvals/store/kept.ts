// Statements that are the same each time but for their values: written with kysely, so that they are typed, and compiled once for
// each database. They run past kysely, because to build and compile one takes longer than the embedded store takes to run it.
import type { Compilable, Kysely } from "kysely"
import type { Dialect } from "./dialect.ts"
import type { Door } from "./reads.ts"
import type { Tables } from "./tables.ts"

/** Stands in a statement for a value that each run gives. */
class Slot {
  readonly name: PropertyKey
  constructor(name: PropertyKey) {
    this.name = name
  }
}

/** `value("id")` is where the value of that name goes; `value.each` are columns, each with the value of its own name. */
interface Slots<Values> {
  <Name extends keyof Values>(name: Name): Values[Name]
  each<Name extends keyof Values>(names: readonly Name[]): Pick<Values, Name>
}

type Build<Values, Row> = (parts: { readonly db: Kysely<Tables>; readonly dialect: Dialect }, value: Slots<Values>) => Compilable<Row>

interface Compiled {
  readonly sql: string
  readonly parameters: readonly unknown[]
}

/** Compiles it at the first run on a database, and answers its rows. */
export function keptRead<Values, Row>(build: Build<Values, Row>): (door: Door, values: Values) => Promise<readonly Row[]> {
  const statement = compiled(build)
  return (door, values) => {
    const { sql, parameters } = statement(door)
    return door.read(sql, filledIn(parameters, values)) as Promise<readonly Row[]>
  }
}

/** The same of a write inside a change: it is done when the change settles, and whatever is read after it sees it. */
export function keptWrite<Values>(build: Build<Values, unknown>): (door: WritingDoor, values: Values) => Promise<void> {
  const statement = compiled(build)
  return async (door, values) => {
    const { sql, parameters } = statement(door)
    if (door.begun) await door.begun
    door.write(sql, filledIn(parameters, values))
  }
}

/** A connection inside a change. */
export interface WritingDoor extends Door {
  /** Reads may be asked before the database has answered that the change has begun; nothing is written before. */
  readonly begun?: Promise<unknown>
  /** Statements in the order of the calls; one that fails fails the change, here or at its end. */
  write(sql: string, parameters: readonly unknown[]): void
}

function compiled<Values, Row>(build: Build<Values, Row>): (door: Door) => Compiled {
  const known = new WeakMap<Dialect, Compiled>()
  return ({ db, dialect }) => {
    const before = known.get(dialect)
    if (before) return before
    const { sql, parameters } = build({ db, dialect }, slots<Values>()).compile()
    const one = { sql, parameters }
    known.set(dialect, one)
    return one
  }
}

function filledIn(parameters: readonly unknown[], values: unknown): unknown[] {
  const given = values as Readonly<Record<PropertyKey, unknown>>
  return parameters.map((one) => (one instanceof Slot ? given[one.name] : one))
}

/** Nobody but `filledIn` looks at what stands in for a value. */
function slots<Values>(): Slots<Values> {
  const slot = <Name extends keyof Values>(name: Name) => new Slot(name) as Values[Name]
  return Object.assign(slot, {
    each: <Name extends keyof Values>(names: readonly Name[]) =>
      Object.fromEntries(names.map((name) => [name, slot(name)])) as Pick<Values, Name>,
  })
}
