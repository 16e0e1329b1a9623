// One reading of one config file: the values with their references followed, and every problem found, with its place. The files
// named after the sections ask it for their part, and report to it what does not fit.
import type { z } from "zod"
import { Secret } from "../core/secret.ts"
import { nearest } from "./nearest.ts"
import { follow, isReference } from "./references.ts"
import { laterWords } from "./schema.ts"
import { shapeProblems } from "./shape.ts"
import type { Path, Place, Source } from "./source.ts"

export interface Problem extends Place {
  /** As the reader named it. */
  readonly file: string
  readonly message: string
}

export class Reading {
  readonly #file: string
  readonly #source: Source
  readonly #value: unknown
  /** Paths of the values that were written as references, as JSON. */
  readonly #references: ReadonlySet<string>
  /** Paths of the references that led nowhere, as JSON: what else is wrong with such a value does not matter. */
  #broken: ReadonlySet<string>
  readonly #problems: Problem[]
  readonly #values: Map<string, string>

  private constructor(file: string, source: Source, followed: Followed) {
    this.#file = file
    this.#source = source
    this.#value = followed.value
    this.#references = followed.references
    this.#values = followed.values
    this.#broken = new Set()
    this.#problems = source.errors.map((error) => ({ file, ...error }))
    for (const { path, message } of followed.problems) this.problem(path, message)
    this.#broken = new Set(followed.problems.map(({ path }) => JSON.stringify(path)))
  }

  /** Relative paths are in `folder`. `values`: what references gave before; the others are followed. */
  static async of(file: string, source: Source, where: Where): Promise<Reading> {
    return new Reading(file, source, await followAll(source.value, where))
  }

  /** What each reference gave. */
  get values(): ReadonlyMap<string, string> {
    return this.#values
  }

  /** What `read` gives for `reference`, or gave when this config was first made. Throws what `read` throws. */
  once(reference: string, read: () => string): string {
    const value = this.#values.get(reference) ?? read()
    this.#values.set(reference, value)
    return value
  }

  /** In file order. */
  get problems(): readonly Problem[] {
    return this.#problems.toSorted((a, b) => a.line - b.line || a.column - b.column)
  }

  problem(path: Path, message: string): void {
    if (this.#broken.has(JSON.stringify(path))) return
    this.#problems.push({ file: this.#file, ...this.#source.placeOf(path), message })
  }

  /** About the key at the end of `path`, rather than its value. */
  problemWithKey(path: Path, message: string): void {
    this.#problems.push({ file: this.#file, ...this.#source.placeOfKey(path), message })
  }

  /** The value at `path` as it was read, references followed; undefined when there is none. */
  at(path: Path): unknown {
    return valueAt(this.#value, path)
  }

  /**
   * The value at `path` in the shape it should have, with problems when it has not. Then what could not be read is left out, so
   * that the other faults of the section are found too; undefined when it cannot do without.
   */
  section<Schema extends z.ZodType>(schema: Schema, path: Path): z.output<Schema> | undefined {
    const value = this.at(path)
    const parsed = schema.safeParse(value)
    if (parsed.success) return parsed.data
    const problems = shapeProblems({ schema, value, name: path.at(-1) ?? "this file" }, parsed.error.issues)
    for (const problem of problems) {
      const at = [...path, ...problem.path]
      const words = laterWords(at, this.at(at))
      if (problem.key) this.problemWithKey(at, words ?? problem.message)
      else this.problem(at, words ?? problem.message)
    }
    return schema.safeParse(without(value, problems)).data
  }

  /** How many items the list at `path` has; 0 when it is no list (which its own section reports). */
  countAt(path: Path): number {
    const value = this.at(path)
    return Array.isArray(value) ? value.length : 0
  }

  /** A secret may only be written as a reference. */
  secret(path: Path, text: string): Secret | undefined {
    if (this.isReference(path)) return new Secret(text)
    this.problem(path, "a secret is not written here itself, but as env:NAME, file:path or exec:command")
    return undefined
  }

  isReference(path: Path): boolean {
    return this.#references.has(JSON.stringify(path))
  }

  /** How a message may name the value at `path`: as it stands in the file, never what a reference gave. */
  written(path: Path): string {
    const text = valueAt(this.#source.value, path)
    return JSON.stringify(typeof text === "string" && text.length > 60 ? `${text.slice(0, 60)}…` : text)
  }

  /** Reports that `path` names none of `known`. */
  unknown(path: Path, what: string, known: readonly string[]): void {
    const value = this.at(path)
    const near = typeof value === "string" && !this.isReference(path) ? nearest(value, known) : undefined
    this.problem(path, `${this.written(path)} is not ${what}${near ? `; did you mean ${JSON.stringify(near)}?` : ""}`)
  }
}

interface Followed {
  readonly value: unknown
  readonly references: ReadonlySet<string>
  readonly problems: readonly { path: Path; message: string }[]
  readonly values: Map<string, string>
}

interface Where {
  readonly folder: string
  readonly values?: Readonly<Record<string, string>>
}

/** Follows every reference in the tree, each one once. One that leads nowhere is a problem and leaves a text that is not empty. */
async function followAll(tree: unknown, { folder, values: before = {} }: Where): Promise<Followed> {
  const references = new Set<string>()
  const problems: { path: Path; message: string }[] = []
  const values = new Map(Object.entries(before))
  const known = new Map<string, Promise<string>>()
  const visit = async (value: unknown, path: Path): Promise<unknown> => {
    if (Array.isArray(value)) {
      const items: unknown[] = []
      for (const [index, item] of value.entries()) items.push(await visit(item, [...path, index]))
      return items
    }
    if (typeof value === "object" && value !== null) {
      const entries: [string, unknown][] = []
      for (const [key, item] of Object.entries(value)) entries.push([key, await visit(item, [...path, key])])
      return Object.fromEntries(entries)
    }
    if (typeof value !== "string" || !isReference(value)) return value
    references.add(JSON.stringify(path))
    const followed = known.get(value) ?? (values.has(value) ? Promise.resolve(values.get(value) ?? "") : follow(value, folder))
    known.set(value, followed)
    try {
      values.set(value, await followed)
      return values.get(value)
    } catch (failure) {
      problems.push({ path, message: (failure as Error).message })
      return unfollowed
    }
  }
  return { value: await visit(tree, []), references, problems, values }
}

/** Stands for a value whose reference led nowhere. */
const unfollowed = "?"

/** A copy of `value` that lacks the keys at the ends of the paths. */
function without(value: unknown, keys: readonly { readonly path: Path }[]): unknown {
  const copy = structuredClone(value)
  for (const { path } of keys) {
    const holder = valueAt(copy, path.slice(0, -1))
    if (path.length > 0 && !Array.isArray(holder) && typeof holder === "object" && holder !== null)
      delete (holder as Record<string | number, unknown>)[path.at(-1)!]
  }
  return copy
}

function valueAt(tree: unknown, path: Path): unknown {
  let value = tree
  for (const step of path) {
    if (typeof value !== "object" || value === null || !Object.hasOwn(value, step)) return undefined
    value = (value as Record<string | number, unknown>)[step]
  }
  return value
}
