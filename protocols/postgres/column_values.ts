// Values of a target's protected columns, in what is kept of a statement: its literals and the values bound to it. Which they are is found
// from the text by PostgreSQL's parser, in a thread of its own, so the first time that a text comes it waits for that. Where it cannot be
// told, the target's config says what becomes of all values. The text that runs is never changed.
import type { BoundValue } from "../../src/core/action.ts"
import { type FoundValues, mayHoldValues, type ValueProtection } from "../../src/core/protected_column.ts"
import type { Host } from "../../src/gateway/contract.ts"
import { replacement } from "./redaction.ts"
import { certainLiterals, piecesOf } from "./sql_pieces.ts"

/** Of a statement's parameters, those that are kept from the record, by their number. */
export type HiddenParams = readonly number[] | "all"

export interface Hidden {
  readonly sql: string
  readonly params: HiddenParams
}

export interface Text {
  readonly sql: string
  /** Whether it goes on beyond what is kept of it. */
  readonly cut: boolean
}

/** One connection's. */
export class ColumnValues {
  readonly #protection: ValueProtection
  readonly #find: Host["findValues"]
  /** Whether a statement that the server knows by name has such values: EXECUTE then gives it more, with no column in sight. */
  #named = false

  constructor(protection: ValueProtection, find: Host["findValues"]) {
    this.#protection = protection
    this.#find = find
  }

  /** A promise for a text that has to be read first. Never rejects. */
  hide(text: Text): Hidden | Promise<Hidden> {
    const { columns } = this.#protection
    const { sql, cut } = text
    if (cut) return this.#hidden(sql, "unknown")
    if (this.#named && /\bexecute\b/i.test(sql) && !mayHoldValues(sql, columns)) return this.#hidden(sql, "unknown")
    const found = this.#find(sql, columns)
    return found instanceof Promise ? found.then((answer) => this.#hidden(sql, answer)) : this.#hidden(sql, found)
  }

  /** A statement with a name of its own has such parameters. */
  named({ params }: Pick<Hidden, "params">): void {
    if (params.length > 0) this.#named = true
  }

  /** The values bound to a statement; `params` undefined: to one that is not known for certain. */
  values(values: readonly BoundValue[], params: HiddenParams | undefined): readonly BoundValue[] {
    const hidden = params ?? this.#unknown.params
    if (hidden.length === 0) return values
    return values.map((value, at) => (hidden === "all" || hidden.includes(at + 1) ? withoutValue(value) : value))
  }

  #hidden(sql: string, found: FoundValues): Hidden {
    const { params, literals } = found === "unknown" ? this.#unknown : found
    const kept = withoutLiterals(sql, literals) ?? withoutLiterals(sql, this.#unknown.literals) ?? sql
    if (/\bprepare\b/i.test(sql)) this.named({ params })
    return { sql: kept, params }
  }

  get #unknown(): { readonly params: HiddenParams; readonly literals: readonly number[] | "all" } {
    return this.#protection.unsure === "hide" ? { params: "all", literals: "all" } : { params: [], literals: [] }
  }
}

function withoutValue(value: BoundValue): BoundValue {
  if (value.format === "null") return value
  const { oid, format } = value
  return format === "text"
    ? { oid, format, value: replacement, redacted: true }
    : { oid, format, value: "", text: replacement, redacted: true }
}

/** Words before a literal that is code. */
const code_follows = /^(?:as|language)$/i

/** `sql` without the literals that start at these places; undefined when there is none at one of them. "all": but those that are code. */
export function withoutLiterals(sql: string, literals: readonly number[] | "all"): string | undefined {
  if (literals.length === 0) return sql
  const wanted = literals === "all" ? undefined : new Set(literals)
  const sure = certainLiterals(sql)
  const kept: string[] = []
  let before = ""
  let block = false // a DO: of its literals one is code, and the other the language
  let signed = false // its minus is a number's own
  for (const piece of piecesOf(sql)) {
    const { at, text, kind, groups } = piece
    const here = wanted ? wanted.delete(at) || (signed && groups["number"] !== undefined) : false
    const certain = kind !== "literal" || sure(piece)
    const number = groups["number"] !== undefined
    if (kind !== "blank" && (before === "" || before === ";")) block = /^do$/i.test(text)
    const takes = wanted
      ? here && (kind === "literal" || number || /^(?:true|false)$/i.test(text))
      : number || (kind === "literal" && groups["dollar"] === undefined && !block && !code_follows.test(before))
    kept.push(takes && certain ? `'${replacement}'` : text)
    if (here && text === "-") signed = true
    else if (here && !takes) return undefined
    else if (kind !== "blank") signed = false
    if (kind !== "blank") before = text
  }
  return wanted && wanted.size > 0 ? undefined : kept.join("")
}
