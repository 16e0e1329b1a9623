// `policy.actions`: rules for single actions. What a rule could never do, or would never be asked to, is a fault of the file.
import { createHash } from "node:crypto"
import type { ActionMatch, ActionRule, NamedCommand } from "../core/action_rules.ts"
import { commandPattern, forbiddenCommandPattern, forbiddenPathPattern, pathPattern } from "../core/action_pattern.ts"
import { parseScope } from "../core/action_scope.ts"
import { type DestinationPattern, destinationPattern } from "../core/destination.ts"
import { GatewayError } from "../core/errors.ts"
import { fileOperations } from "../core/file_match.ts"
import { limits } from "../core/limits.ts"
import { changing, hiding, type StatementKind, type TableName } from "../core/statement.ts"
import type { Target } from "../core/target.ts"
import type { ActionRuleFile } from "./action_rule_schema.ts"
import type { AccessRule } from "./config.ts"
import { checkPossible } from "./rule_approvals.ts"
import { nearest } from "./nearest.ts"
import { readWait } from "./rule_conditions.ts"
import { type Context, each, people } from "./rule_people.ts"
import { matched, readAccounts, readTargets } from "./rule_targets.ts"
import { part } from "./schema.ts"
import type { Path } from "./source.ts"

export function readActionRules(context: Context, access: readonly AccessRule[]): readonly ActionRule[] {
  const { reading } = context
  const list: Path = ["policy", "actions"]
  const files = Array.from({ length: reading.countAt(list) }, (_, index) => reading.section(part.action_rule, [...list, index]))
  const named = new Set(files.flatMap((file) => (file?.postgres?.kinds === undefined ? [] : [file.postgres.kinds].flat())))
  const unnamed = new Set(hiding.filter((kind) => !named.has(kind)))
  return files.flatMap((file, index) => (file ? [readRule(context, { file, index, path: [...list, index], unnamed, access })] : []))
}

function labelsNear(labels: Readonly<Record<string, string>>, { targets }: Context): string {
  const said = Object.entries(labels).flatMap(([key, value]) => {
    const known = targets.flatMap((target) => (target.labels[key] === undefined ? [] : [target.labels[key]]))
    const near = known.includes(value) ? undefined : nearest(value, known)
    return near === undefined ? [] : [`${key}: ${near}`]
  })
  return said.length === 0 ? "" : `; did you mean ${said.join(", ")}?`
}

interface Placed {
  readonly file: ActionRuleFile
  readonly index: number
  readonly path: Path
  /** Kinds that may hide others, and that no rule speaks of. */
  readonly unnamed: ReadonlySet<StatementKind>
  readonly access: readonly AccessRule[]
}

function readRule(context: Context, placed: Placed): ActionRule {
  const { file, index, path } = placed
  const { reading } = context
  const targets = file.targets === undefined ? undefined : readTargets(context, [...path, "targets"], file.targets)
  const about_targets = targets === undefined ? context.targets : matched(targets, context)
  // An access rule that is about nothing gives nothing; one that forbids something would let it pass.
  if (targets && "labels" in targets && about_targets.length === 0 && context.targets.length === context.names.length)
    reading.problem([...path, "targets"], `no target has these labels, so the rule is about nothing${labelsNear(targets.labels, context)}`)
  checkWords(context, placed, about_targets)
  return {
    name: `policy.actions[${index}]`,
    index,
    digest: createHash("sha256").update(JSON.stringify(file)).digest("hex"),
    who: file.who === undefined ? undefined : people(context, [...path, "who"], file.who),
    targets,
    as: file.as === undefined ? undefined : readAccounts(context, [...path, "as"], { written: file.as, targets: about_targets }),
    about: readMatch(context, placed, about_targets),
    verdict: file.then,
    say: file.say,
    approve: file.approve && readApprovers(context, placed, file.approve),
    within_ms: readWait(reading, [...path, "within"], { written: file.within, ms_max: limits.pending_ms_max }),
  }
}

function readApprovers(
  context: Context,
  { file, path, access }: Placed,
  { by: written, count }: NonNullable<ActionRuleFile["approve"]>,
): NonNullable<ActionRule["approve"]> {
  const by = people(context, [...path, "approve", "by"], written)
  const who = file.who === undefined ? access.flatMap((rule) => rule.who) : [file.who].flat()
  checkPossible(context, { path: [...path, "approve"], plan: { order: "any", steps: [{ by, count }] }, who })
  return { by, count }
}

/** Who approves, and what is said, where that can come to be. */
function checkWords({ reading, names, targets }: Context, { file, path, access }: Placed, about: readonly Target[]): void {
  if (file.approve && file.then !== "hold") reading.problem([...path, "approve"], "only what is held is approved: write then: hold")
  if (file.say !== undefined && file.then !== "deny") reading.problem([...path, "say"], "only who is denied is told: write then: deny")
  if (file.say !== undefined && (/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/u.test(file.say) || file.say.length > limits.reason_chars_max))
    reading.problem([...path, "say"], `one line of at most ${limits.reason_chars_max} characters`)
  if (file.then !== "hold" || file.approve || targets.length !== names.length) return
  const nobody = access.findIndex(({ approve, targets: match }) => approve === "auto" && about.some((target) => isAbout(match, target)))
  if (nobody >= 0) reading.problem(path, `who approves it? policy.access[${nobody}] gives access without anybody: write approve: { by: … }`)
}

const isAbout = (match: AccessRule["targets"], target: Target): boolean =>
  "names" in match ? match.names.includes(target.name) : Object.entries(match.labels).every(([key, value]) => target.labels[key] === value)

function readMatch(context: Context, placed: Placed, about: readonly Target[]): ActionMatch | undefined {
  const { file, path } = placed
  const written = (["postgres", "ssh", "http"] as const).filter((key) => file[key] !== undefined)
  const [protocol, second] = written
  if (protocol === undefined) return undefined
  if (second !== undefined) context.reading.problem([...path, second], "write a rule of its own for it")
  if (about.length > 0 && !about.some((target) => target.protocol === protocol))
    context.reading.problem([...path, protocol], "the rule is about no target of that kind")
  switch (protocol) {
    case "postgres":
      return readPostgres(context, placed, file.postgres!)
    case "ssh":
      return readSsh(context, placed, file.ssh!)
    case "http":
      return readHttp(context, placed, file.http!)
  }
}

function readPostgres(
  { reading }: Context,
  { file, path, unnamed }: Placed,
  { kinds, tables, without, drops }: NonNullable<ActionRuleFile["postgres"]>,
): ActionMatch {
  const named = kinds === undefined ? undefined : new Set([kinds].flat())
  if (without && named && !named.has("update") && !named.has("delete"))
    reading.problem([...path, "postgres", "without"], "only an update or a delete has a WHERE")
  if (drops && named && !(["ddl", "grant", "delete"] as const).some((kind) => named.has(kind)))
    reading.problem([...path, "postgres", "drops"], "only ddl, grant and delete take away what is there: write kinds: [ddl, grant]")
  const read: TableName[] = []
  if (tables !== undefined)
    each([...path, "postgres", "tables"], tables, (at, name) => {
      const table = tableIn(name)
      if (table) read.push(table)
      else reading.problem(at, "expected a table, such as orders, public.orders or audit.*")
    })
  // Whoever forbids what a statement may do means it however it is done.
  const hides = file.then !== "allow" && named !== undefined && changing.some((kind) => named.has(kind))
  return {
    protocol: "postgres",
    kinds: named,
    hidden: hides ? unnamed : new Set(),
    tables: tables === undefined ? undefined : read,
    without_where: without === "where",
    drops: drops === true,
  }
}

/** As the server folds names: small letters, unless quoted. */
function tableIn(written: string): TableName | undefined {
  const name = String.raw`"(?:[^"]|"")+"|[\p{L}_][\p{L}\p{N}_$]*`
  const { schema, table } = new RegExp(`^(?:(?<schema>${name})\\.)?(?<table>${name}|\\*)$`, "u").exec(written)?.groups ?? {}
  if (table === undefined || (table === "*" && schema === undefined)) return undefined
  const folded = (one: string): string => (one.startsWith('"') ? one.slice(1, -1).replaceAll('""', '"') : one.toLowerCase())
  return { schema: schema === undefined ? undefined : folded(schema), name: folded(table) }
}

function readSsh(
  { reading }: Context,
  { path }: Placed,
  { exec, argv, shell, sftp, forward, listen, agent }: NonNullable<ActionRuleFile["ssh"]>,
): ActionMatch {
  const written = reading.at([...path, "ssh"])
  // Of a key that is not understood, that is said.
  if (Object.keys(written ?? {}).length === 0)
    reading.problem([...path, "ssh"], "write what: exec, argv, shell, sftp, forward, listen or agent")
  const commands: NamedCommand[] = []
  if (exec !== undefined && exec !== true)
    each([...path, "ssh", "exec"], exec, (at, text) => {
      if (text.length > limits.scope_action_chars_max) reading.problem(at, `at most ${limits.scope_action_chars_max} characters`)
      commands.push({ text, pattern: commandPattern(text.trim()), forbids: forbiddenCommandPattern(text.trim()) })
    })
  const files = sftp === undefined || sftp === true ? {} : sftp
  return {
    protocol: "ssh",
    exec: exec === true ? "any" : exec === undefined ? undefined : commands,
    argv: argv === undefined ? undefined : [argv],
    shell: shell === true,
    sftp: sftp && {
      ops: files.ops === undefined ? undefined : fileOperations.filter((op) => [files.ops].flat().includes(op)),
      paths: readPaths(reading, [...path, "ssh", "sftp", "path"], files.path)?.map(pathPattern),
    },
    forward: readPlaces(reading, [...path, "ssh", "forward"], forward),
    listen: readPlaces(reading, [...path, "ssh", "listen"], listen),
    agent: agent === true,
  }
}

function readPlaces(
  reading: Context["reading"],
  path: Path,
  written: true | string | readonly string[] | undefined,
): "any" | DestinationPattern[] | undefined {
  if (written === undefined || written === true) return written && "any"
  const places: DestinationPattern[] = []
  each(path, written, (at, text) => {
    try {
      places.push(destinationPattern(text))
    } catch (failure) {
      reading.problem(at, (failure as Error).message)
    }
  })
  return places
}

function readHttp({ reading }: Context, { file, path }: Placed, http: NonNullable<ActionRuleFile["http"]>): ActionMatch {
  const methods: string[] = []
  if (http.methods !== undefined)
    each([...path, "http", "methods"], http.methods, (at, method) => {
      if (!/^[A-Z]+$/.test(method)) reading.problem(at, "expected a method in capital letters, such as DELETE")
      methods.push(method)
    })
  return {
    protocol: "http",
    methods: http.methods === undefined ? undefined : methods,
    paths: readPaths(reading, [...path, "http", "path"], http.path)?.map(file.then === "allow" ? pathPattern : forbiddenPathPattern),
  }
}

/** Checked as a grant's actions are, so that one way of writing paths is enough to know. */
function readPaths(reading: Context["reading"], path: Path, written: string | readonly string[] | undefined): string[] | undefined {
  if (written === undefined) return undefined
  return each(path, written, (at, text) => {
    try {
      parseScope("http", [`* ${text}`])
    } catch (failure) {
      reading.problem(at, text.startsWith("/") ? GatewayError.from(failure, "internal").message : "a path begins with /")
    }
  })
}
