// An action as somebody who must approve it is shown it: all of it, and its digest, which the approval is bound to. What cannot be
// shown whole cannot be held.
import { createHash } from "node:crypto"
import type { HeldAction } from "../../api/hold_schema.ts"
import type { Action, BoundValue, FileAttributes, FileName } from "../../core/action.ts"
import { canonicalText } from "../../core/action_scope.ts"
import { GatewayError } from "../../core/errors.ts"
import { limits } from "../../core/limits.ts"
import { type StatementFacts, strongest, tableText } from "../../core/statement.ts"

/** What the protocol knows beyond the action on record: of an HTTP request its query and body. */
export interface Exact {
  readonly text: string
  /** SHA-256 of all that would be sent, in hex. */
  readonly sha256: string
}

export type Shown = Pick<HeldAction, "digest" | "text" | "values" | "action_kind" | "tables" | "calls" | "notes">

/** Throws `cannot_be_held`, with words. */
export function shownAction(action: Action, facts: StatementFacts | undefined, exact: Exact | undefined): Shown {
  const text = exact?.text ?? textOf(action)
  const values = action.kind === "postgres.statement" ? valuesOf(action) : []
  if (text.length > limits.hold_text_chars_max || sizeOf(values) > limits.hold_values_chars_max)
    throw cannot("it is too long to be shown to somebody who approves it")
  const tables = (facts?.parts ?? []).flatMap(({ table }) => (table ? [tableText(table)] : []))
  return {
    digest: `sha256:${createHash("sha256")
      .update(exact?.sha256 ?? JSON.stringify(action))
      .digest("hex")}`,
    text,
    values,
    action_kind: facts ? strongest(facts) : null,
    tables: [...new Set(tables)],
    calls: [...(facts?.calls ?? [])],
    notes: notesOf(action, facts),
  }
}

/** One line of a session's history, shortened. */
export function recentAction(action: Action): string {
  const text = textOf(action)
  return text.length > limits.hold_recent_chars_max ? `${text.slice(0, limits.hold_recent_chars_max)}…` : text
}

function textOf(action: Action): string {
  switch (action.kind) {
    case "postgres.statement":
      return action.sql
    case "ssh.exec":
      return action.command
    case "ssh.shell":
      return "a shell"
    case "ssh.sftp":
      return "file transfer (sftp)"
    case "ssh.file":
      return fileText(action)
    case "http.request":
      return canonicalText(action) ?? action.method
    case "ssh.forward":
    case "ssh.agent":
    case "tcp.connect":
      return canonicalText(action) ?? action.kind
  }
}

function fileText(action: Extract<Action, { kind: "ssh.file" }>): string {
  const what = action.op === "other" ? action.name : action.op
  const to = "to" in action ? ` to ${pathText(action.to)}` : ""
  const how = action.op === "open" ? ` (${action.flags.join(", ")})` : ""
  const set = "set" in action && action.set ? ` set ${attributesText(action.set)}` : ""
  return `${what} ${pathText(action.path)}${to}${how}${set}`.trimEnd()
}

const attributesText = (set: FileAttributes): string =>
  Object.entries(set)
    .map(([name, value]: [string, number]) => `${name} ${name === "mode" ? `0${value.toString(8)}` : value}`)
    .join(", ")

/** In quotes where it could be read as two, or as what it is not; a quote in it as two. */
function pathText(path: FileName | undefined): string {
  if (path === undefined) return ""
  if (typeof path !== "string") return `base64:${path.base64}`
  return path === "" || /[\s"]|^base64:/.test(path) ? `"${path.replaceAll('"', '""')}"` : path
}

type Statement = Extract<Action, { kind: "postgres.statement" }>

function valuesOf(action: Statement): (string | null)[] {
  if (action.values_left_out) throw cannot("its values are too large to be shown to somebody who approves it")
  return (action.values ?? []).map(valueOf)
}

function valueOf({ value, text, format, bytes }: BoundValue): string | null {
  if (bytes !== undefined) throw cannot("one of its values is too large to be shown to somebody who approves it")
  return format === "binary" && value !== null ? (text ?? `\\x${value}`) : value
}

const sizeOf = (values: readonly (string | null)[]): number => values.reduce((sum, value) => sum + (value?.length ?? 0), 0)

function notesOf(action: Action, facts: StatementFacts | undefined): string[] {
  const several = operationsOf(facts)
  const every_row = facts?.parts.some((part) => part.every_row) ? ["it is done to every row: there is no WHERE that looks at a column"] : []
  return [...several, ...every_row, ...(facts?.notes ?? []), ...doubtsOf(action)]
}

/** Of a text that does more than one thing, which, each once: its strongest kind says nothing of the others. */
function operationsOf(facts: StatementFacts | undefined): string[] {
  const all = (facts?.parts ?? []).map(({ kind, table }) => (table ? `${kind} on ${tableText(table)}` : kind))
  const each = [...new Set(all)]
  const kinds = new Set(facts?.parts.flatMap(({ kind }) => (kind === "transaction" ? [] : [kind])))
  if (kinds.size < 2) return []
  const more = each.length - limits.hold_operations_max
  return [`it does several things: ${each.slice(0, limits.hold_operations_max).join(", ")}${more > 0 ? `, and ${more} more` : ""}`]
}

/** Throws for what is not the very action that would run; a password that was taken out is said to be missing. */
function doubtsOf(action: Action): string[] {
  switch (action.kind) {
    case "postgres.statement":
      if (action.unresolved) throw cannot("what its name stands for is not known for certain")
      if (action.sql_bytes !== undefined) throw cannot("it is too long to be shown to somebody who approves it")
      if (action.how === "function_call") throw cannot("it calls a function by its number")
      if (action.inexact && !action.secret) throw cannot("its text is not UTF-8")
      return action.secret || action.values?.some(({ redacted }) => redacted) ? ["a secret in it is not shown"] : []
    case "ssh.exec":
      if (action.inexact) throw cannot("its text is not UTF-8")
      return []
    case "ssh.shell":
      return ["what is typed in it is recorded, and not decided about"]
    case "ssh.file":
      return action.op === "open" && action.flags.some((flag) => flag !== "read") ? ["what will be written to it is not known yet"] : []
    case "ssh.forward":
    case "ssh.agent":
      return ["what passes through it is not looked at"]
    case "ssh.sftp":
    case "tcp.connect":
    case "http.request":
      return []
  }
}

const cannot = (why: string): GatewayError => new GatewayError("cannot_be_held", { what: `this needs an approval, and ${why}` })
