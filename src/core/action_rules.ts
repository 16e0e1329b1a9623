// The rules for single actions, within what a grant covers: the first that matches decides whether it is allowed, allowed and
// marked, held until somebody approves it, or denied. A text with several operations in it (SQL statements, commands after each
// other) is as each of them alone would be, and the strictest counts. Pure: rules and facts in, a ruling out.
//
// What cannot be seen for certain never helps: a rule that allows matches only what is certain, one that denies, holds or marks
// matches as well what may be it.
import type { Action } from "./action.ts"
import { canonicalText } from "./action_scope.ts"
import type { Pattern } from "./action_pattern.ts"
import { type CommandLine, readCommandLine, type SimpleCommand } from "./command_line.ts"
import type { DestinationPattern } from "./destination.ts"
import { fileMatches, type FileMatch } from "./file_match.ts"
import { hiding, type StatementFacts, type StatementKind, type StatementPart, type TableName } from "./statement.ts"
import type { Target } from "./target.ts"
import { matchesTarget, type TargetMatch } from "./target_match.ts"

/** "flag": allowed, and marked on record. */
export type Verdict = "allow" | "flag" | "hold" | "deny"

export interface ActionRule {
  /** "policy.actions[0]" */
  readonly name: string
  readonly index: number
  /** Of the rule as it is written: by it a gateway and the approval service see that they mean the same. */
  readonly digest: string
  /** Groups or people; undefined: everybody. */
  readonly who: readonly string[] | undefined
  /** Undefined: all. */
  readonly targets: TargetMatch | undefined
  /** Logins or roles; undefined: all. */
  readonly as: readonly string[] | undefined
  /** Undefined: every action; the files of a transfer are in the transfer. */
  readonly about: ActionMatch | undefined
  readonly verdict: Verdict
  /** To the one who is refused. */
  readonly say: string | undefined
  /** Who approves what is held; undefined: those who approve access by the grant's own rule. */
  readonly approve: { readonly by: readonly string[]; readonly count: number } | undefined
  /** How long what is held waits. */
  readonly within_ms: number
}

export interface NamedCommand {
  readonly text: string
  /** For a rule that allows. */
  readonly pattern: Pattern
  /** For one that does not. */
  readonly forbids: Pattern
}

export type ActionMatch =
  | {
      readonly protocol: "postgres"
      readonly kinds: ReadonlySet<StatementKind> | undefined
      /** Kinds that no rule names, and that may hide what this one is about. */
      readonly hidden: ReadonlySet<StatementKind>
      readonly tables: readonly TableName[] | undefined
      readonly without_where: boolean
      /** Only what takes away what was there. */
      readonly drops: boolean
    }
  | {
      readonly protocol: "ssh"
      readonly exec: "any" | readonly NamedCommand[] | undefined
      /** Programs with their first words. */
      readonly argv: readonly (readonly string[])[] | undefined
      readonly shell: boolean
      readonly sftp: FileMatch | undefined
      /** Where the target connects for the client, and where it listens. */
      readonly forward: "any" | readonly DestinationPattern[] | undefined
      readonly listen: "any" | readonly DestinationPattern[] | undefined
      /** Programs use the client's SSH agent. */
      readonly agent: boolean
    }
  | { readonly protocol: "http"; readonly methods: readonly string[] | undefined; readonly paths: readonly Pattern[] | undefined }

export interface Acting {
  readonly person: { readonly name: string; readonly groups: readonly string[] }
  readonly target: Pick<Target, "name" | "labels" | "protocol">
  readonly as: string | undefined
}

export interface ActionRuling {
  readonly verdict: Verdict
  /** Undefined: none matched, so the grant alone counts. */
  readonly rule: ActionRule | undefined
}

/** The rules that may concern somebody on a target; none: there is nothing to look at. */
export function rulesFor(rules: readonly ActionRule[], { person, target, as }: Acting): readonly ActionRule[] {
  return rules.filter(
    (rule) =>
      (rule.who === undefined || rule.who.some((name) => name === person.name || person.groups.includes(name))) &&
      (rule.targets === undefined || matchesTarget(rule.targets, target)) &&
      (rule.as === undefined || (as !== undefined && rule.as.includes(as))) &&
      (rule.about === undefined || rule.about.protocol === target.protocol),
  )
}

/** Whether the rules look into SQL: else nothing needs to be parsed for them. */
export const readsStatements = (rules: readonly ActionRule[]): boolean => rules.some(({ about }) => about?.protocol === "postgres")

const severity: Readonly<Record<Verdict, number>> = { allow: 0, flag: 1, hold: 2, deny: 3 }

/** `rules` are those of `rulesFor`. `statement`: of SQL, undefined where no rule reads it. */
export function decideAction(rules: readonly ActionRule[], action: Action, statement: StatementFacts | undefined): ActionRuling {
  const rulings = itemsOf(action, statement).map((item): ActionRuling => {
    const rule = rules.find((one) =>
      one.about === undefined ? action.kind !== "ssh.file" : matches(one.about, item, one.verdict !== "allow"),
    )
    return { verdict: rule?.verdict ?? "allow", rule }
  })
  return rulings.reduce((most, ruling) => (severity[ruling.verdict] > severity[most.verdict] ? ruling : most))
}

type Item =
  | { readonly protocol: "postgres"; readonly part: StatementPart }
  | { readonly protocol: "ssh"; readonly action: Action; readonly line?: CommandLine; readonly command?: SimpleCommand }
  | { readonly protocol: "http"; readonly method: string; readonly path: string }
  | { readonly protocol: "tcp" }

function itemsOf(action: Action, statement: StatementFacts | undefined): readonly [Item, ...Item[]] {
  switch (action.kind) {
    case "postgres.statement": {
      const [first = { kind: "unknown" } satisfies StatementPart, ...rest] = statement?.parts ?? []
      return [{ protocol: "postgres", part: first }, ...rest.map((part): Item => ({ protocol: "postgres", part }))]
    }
    case "ssh.exec": {
      const line = readCommandLine(action.command)
      const [first, ...rest] = line.commands.map((command): Item => ({ protocol: "ssh", action, line, command }))
      return [first ?? { protocol: "ssh", action, line }, ...rest]
    }
    case "ssh.shell":
    case "ssh.sftp":
    case "ssh.file":
    case "ssh.forward":
    case "ssh.agent":
      return [{ protocol: "ssh", action }]
    case "tcp.connect":
      return [{ protocol: "tcp" }]
    case "http.request": {
      const text = canonicalText(action) ?? ""
      const space = text.indexOf(" ")
      return [{ protocol: "http", method: text.slice(0, space), path: text.slice(space + 1) }]
    }
  }
}

/** `wide`: also what may be it. */
function matches(about: ActionMatch, item: Item, wide: boolean): boolean {
  if (about.protocol === "postgres") return item.protocol === "postgres" && matchesPart(about, item.part, wide)
  if (about.protocol === "http") {
    if (item.protocol !== "http") return false
    return (
      (about.methods?.some((method) => isMethod(method, item.method, wide)) ?? true) &&
      (about.paths?.some((pattern) => pattern(item.path)) ?? true)
    )
  }
  if (item.protocol !== "ssh") return false
  const { action, line, command } = item
  switch (action.kind) {
    case "ssh.shell":
      return about.shell
    case "ssh.sftp":
      return about.sftp !== undefined && isWhole(about.sftp)
    case "ssh.file":
      return about.sftp !== undefined && !isWhole(about.sftp) && fileMatches(about.sftp, action, wide)
    case "ssh.exec":
      return matchesCommand(about, { line, command, inexact: action.inexact === true, wide })
    case "ssh.forward": {
      const places = action.direction === "local" ? about.forward : about.listen
      return places === "any" || (places?.some((place) => (wide ? place.mayCover(action) : place.covers(action))) ?? false)
    }
    case "ssh.agent":
      return about.agent
    case "http.request":
    case "postgres.statement":
    case "tcp.connect":
      return false
  }
}

/**
 * Applications answer HEAD by doing what GET does (RFC 9110, section 9.3.2), and take a WebSocket's handshake for a GET where they
 * serve none: a rule that forbids GET forbids these.
 */
const isMethod = (ruled: string, method: string, wide: boolean): boolean =>
  ruled === method || (wide && ruled === "GET" && (method === "HEAD" || method === "WEBSOCKET"))

/** About file transfer as such, it is decided when that begins, and not again with each file. */
const isWhole = ({ ops, paths }: FileMatch): boolean => ops === undefined && paths === undefined

type PostgresMatch = Extract<ActionMatch, { protocol: "postgres" }>

function matchesPart({ kinds, hidden, tables, without_where, drops }: PostgresMatch, part: StatementPart, wide: boolean): boolean {
  if (wide && hidden.has(part.kind)) return true
  if (kinds !== undefined && !kinds.has(part.kind)) return false
  const hides = (hiding as readonly StatementKind[]).includes(part.kind)
  if (hides && (tables !== undefined || without_where || drops)) return wide
  if (drops && part.drops !== true) return false
  if (without_where && part.every_row !== true) return false
  return tables === undefined || (part.table !== undefined && tables.some((table) => isTable(table, part.table as TableName, wide)))
}

/** A name without a schema may be any schema's: in a rule it is meant so, in a statement search_path decides. */
function isTable(rule: TableName, { schema, name }: TableName, wide: boolean): boolean {
  if (rule.name !== "*" && rule.name !== name) return false
  return rule.schema === undefined || rule.schema === schema || (wide && schema === undefined)
}

interface Commanded {
  readonly line: CommandLine | undefined
  readonly command: SimpleCommand | undefined
  readonly inexact: boolean
  readonly wide: boolean
}

function matchesCommand(
  { exec, argv }: Pick<Extract<ActionMatch, { protocol: "ssh" }>, "exec" | "argv">,
  { line, command, inexact, wide }: Commanded,
): boolean {
  if (exec === "any") return true
  if (exec === undefined && argv === undefined) return false
  if (inexact || command === undefined || line === undefined) return wide
  const { text, words, plain } = command
  const programs = [
    ...(exec ?? []).map((named) => readCommandLine(named.text).commands[0]?.words[0] ?? ""),
    ...(argv ?? []).map(([name = ""]) => name),
  ]
  if (wide && !line.whole && (isUnknown(words[0]) || programs.some((name) => mentions(text, name) || mentions(unquoted(text), name))))
    return true
  const spoken = words.join(" ")
  if (exec?.some(({ pattern, forbids }) => (wide ? forbids(text) || forbids(spoken) : pattern(text)))) return true
  const begins = argv?.some((first) => first.every((word, at) => words[at] === word)) ?? false
  return begins && (wide || (line.whole && plain))
}

/** Only a shell could tell which program that is. */
const isUnknown = (name = ""): boolean => name !== "[" && /[$`?*[{]/.test(name)

/** As a shell joins what quotes and backslashes part, whatever is within them. */
const unquoted = (text: string): string => text.replaceAll("\\\n", "").replaceAll(/[\\'"]/g, "")

/** As a word of its own, or in a path. */
function mentions(text: string, name: string): boolean {
  if (name === "") return false
  for (let at = text.indexOf(name); at >= 0; at = text.indexOf(name, at + 1)) {
    const [before = " ", after = " "] = [text[at - 1], text[at + name.length]]
    if (!/[\w.-]/.test(before) && !/[\w-]/.test(after)) return true
  }
  return false
}
