// What can be said of an SQL text by its syntax alone: the operations in it, each with its kind and the table it is done to. What
// views, rules, triggers, operators, casts and functions do inside the server is not in the text, and so not here.

export const statementKinds = [
  "read",
  "insert",
  "update",
  "delete",
  "ddl",
  "grant",
  "copy",
  "call",
  "do",
  "utility",
  "transaction",
  "unknown",
] as const
export type StatementKind = (typeof statementKinds)[number]

/** Kinds that run code which the text does not show: they may do what any other kind does. */
export const hiding = ["unknown", "call", "do"] as const satisfies readonly StatementKind[]
/** Kinds that change something, or carry whole tables away. */
export const changing = ["insert", "update", "delete", "ddl", "grant", "copy"] as const satisfies readonly StatementKind[]

/** Kinds that have a plan. */
export const planned = ["read", "insert", "update", "delete"] as const satisfies readonly StatementKind[]

/** Of a held action: whether asking for its plan may lead to one. `action_kind` is null where nobody has looked. */
export const mayHavePlan = ({ protocol, action_kind }: { readonly protocol: string; readonly action_kind: string | null }): boolean =>
  protocol === "postgres" && (action_kind === null || (planned as readonly string[]).includes(action_kind))

export interface TableName {
  /** Undefined: whatever the server's search_path makes of it. */
  readonly schema: string | undefined
  readonly name: string
}

export interface StatementPart {
  readonly kind: StatementKind
  readonly table?: TableName
  /** Of an update or delete: it has no WHERE, or one that looks at no column. */
  readonly every_row?: true
  /** It takes away what was there, with all that is in it: DROP, TRUNCATE, ALTER TABLE … DROP. */
  readonly drops?: true
}

export interface StatementFacts {
  /** Never empty; each once. */
  readonly parts: readonly StatementPart[]
  /** Functions that may have side effects, as far as is known. */
  readonly calls: readonly string[]
  /** What else a reader should know, in our words. */
  readonly notes: readonly string[]
}

/** Nothing can be said: it could not be parsed, was too long, or is not the very text that runs. */
export const unseen = (why: string): StatementFacts => ({ parts: [{ kind: "unknown" }], calls: [], notes: [why] })

/** From the least to the most that a statement can do: what a reader is told it is. */
const strength: readonly StatementKind[] = [
  "transaction",
  "read",
  "utility",
  "insert",
  "update",
  "copy",
  "delete",
  "ddl",
  "grant",
  "call",
  "do",
  "unknown",
]

export const strongest = ({ parts }: StatementFacts): StatementKind =>
  parts.reduce<StatementKind>((most, { kind }) => (strength.indexOf(kind) > strength.indexOf(most) ? kind : most), "transaction")

export const tableText = ({ schema, name }: TableName): string => (schema === undefined ? name : `${schema}.${name}`)
