// Which single actions a grant covers, when it does not cover everything. People write them as text; here the text is checked and
// brought into one canonical form, and an action is held against it. A grant keeps canonical texts, so that what an approver reads is
// what is compared. Pure; how a `*` is read is `action_pattern.ts`.
//
//   SQL      SELECT count(*) FROM orders          exactly this text; white space and semicolons around it do not count
//            pattern:DELETE FROM orders WHERE id = *   each * that stands by itself is one number, plain string, parameter or *
//   command  systemctl restart nginx              exactly this command line
//            systemctl restart *                  each * is within one word and has no meaning to a shell
//   forward  forward 10.0.0.9:6379                a connection that the target makes; patterns as in `destination.ts`
//            forward remote localhost:8080        the target listens there
//            forward agent                        programs there may use one's SSH agent
//   file     sftp read,list /var/log/*            what SFTP may do with files, as in `file_scope.ts`
//   HTTP     GET,HEAD /api/*                      a * at the end is the rest of the path, elsewhere a part of one segment;
//            WEBSOCKET /live                      `*` for the method is any but this one; query and body are not looked at
//   any      exact:…  sha256:<hex>                exactly this text; the SHA-256 of an action's canonical text
import { createHash } from "node:crypto"
import type { Action } from "./action.ts"
import { commandPattern, type Pattern, pathPattern, sqlPattern } from "./action_pattern.ts"
import { destinationPattern, destinationText, readDestination } from "./destination.ts"
import { GatewayError } from "./errors.ts"
import { fileTexts, isFileScope, readFileScope } from "./file_scope.ts"
import { limits } from "./limits.ts"
import type { ProtocolName } from "./target.ts"

/** Canonical texts, sorted, each once; never empty. */
export type ActionScope = readonly string[]

/** Throws `invalid`, with words for the one who wrote them. */
export function parseScope(protocol: ProtocolName, written: readonly string[]): ActionScope {
  if (written.length === 0) throw invalid("at least one action must be named")
  if (written.length > limits.scope_actions_max) throw invalid(`at most ${limits.scope_actions_max} actions can be named`)
  return [...new Set(written.map((text) => read(protocol, text).text))].sort()
}

/** Whether an action is covered. A text that cannot be read (a newer service wrote it) covers nothing. */
export function scopeMatcher(protocol: ProtocolName, scope: ActionScope): (action: Action) => boolean {
  const forms = scope.flatMap((text) => {
    try {
      return [read(protocol, text)]
    } catch {
      return []
    }
  })
  return (action) => {
    const about = aboutOf(action)
    const fitting = forms.filter((form) => form.about === about)
    if (action.kind === "ssh.sftp") return fitting.length > 0
    const texts = action.kind === "ssh.file" ? fileTexts(action) : one(canonicalText(action))
    return texts !== undefined && texts.every((text) => fitting.some((form) => form.covers(text)))
  }
}

/** What a form must be about to cover an action: a command may have the same text as a forward or a file. */
function aboutOf({ kind }: Action): Form["about"] {
  if (kind === "ssh.forward" || kind === "ssh.agent") return "forward"
  return kind === "ssh.sftp" || kind === "ssh.file" ? "file" : undefined
}

const one = (text: string | undefined): readonly string[] | undefined => (text === undefined ? undefined : [text])

/**
 * What `asked` leaves of what a rule allows: the rule's own actions when nothing is named, else the named ones. Undefined when
 * one of them is not the rule's to give: an exact text must be covered, a pattern or digest stand there as it is.
 */
export function narrowScope(protocol: ProtocolName, ruled: ActionScope | null, asked: ActionScope | null): ActionScope | null | undefined {
  if (ruled === null || asked === null) return asked ?? ruled
  const forms = ruled.map((text) => read(protocol, text))
  const given = asked.every((text) => {
    const { exact, about } = read(protocol, text)
    return ruled.includes(text) || (exact !== undefined && forms.some((form) => form.about === about && form.covers(exact)))
  })
  return given ? asked : undefined
}

/**
 * An action as it is compared and digested: SQL without what stands around it, a command as it is, "GET /path". Undefined for one
 * that cannot be named, of which we do not have the very bytes that would run, or that the server may read as another.
 */
export function canonicalText(action: Action): string | undefined {
  switch (action.kind) {
    case "postgres.statement":
      if (action.how === "function_call" || action.unresolved || action.ambiguous || action.inexact || action.sql_bytes !== undefined)
        return undefined
      return canonicalSql(action.sql)
    case "ssh.exec":
      return action.inexact ? undefined : action.command
    case "tcp.connect":
    case "ssh.shell":
    case "ssh.sftp":
    case "ssh.file":
      return undefined
    case "ssh.forward":
      return `forward ${action.direction === "remote" ? "remote " : ""}${destinationText(action)}`
    case "ssh.agent":
      return forward_agent
    case "http.request":
      return `${action.upgrade === "websocket" ? websocket : action.method} ${action.path}`
  }
}

/** "sha256:" and the hex digest of a canonical text in UTF-8. */
export const digestOf = (canonical: string): string => `sha256:${createHash("sha256").update(canonical).digest("hex")}`

interface Form {
  /** Canonical. */
  readonly text: string
  /** The one action it covers, where it is one. */
  readonly exact: string | undefined
  /** It is about forwards or files, and what it covers is no command. */
  readonly about?: "forward" | "file"
  covers(canonical: string): boolean
}

const forward_agent = "forward agent"
const websocket = "WEBSOCKET"
const prefixed = /^(?:exact|pattern|sha256):/

function read(protocol: ProtocolName, written: string): Form {
  if (protocol === "tcp") throw invalid("what passes to a tcp target is not looked at, so there are no single actions to name")
  if (written.length > limits.scope_action_chars_max)
    throw invalid(`an action is at most ${limits.scope_action_chars_max} characters: name a longer one by its sha256:`)
  if (!written.isWellFormed() || written.includes("\0")) throw invalid("an action is text")
  if (written.startsWith("sha256:")) return digestForm(written)
  const [prefix = ""] = prefixed.exec(written) ?? []
  const body = written.slice(prefix.length)
  if (body.trim() === "") throw invalid("an action is not empty")
  switch (protocol) {
    case "http":
      return httpForm(body, prefix)
    case "ssh":
      if (prefix === "" && isForward(body)) return forwardForm(body)
      if (prefix === "" && isFileScope(body)) return fileForm(body)
      return prefix === "pattern:" || (prefix === "" && body.includes("*"))
        ? commandForm(body)
        : exactForm(body, body.includes("*") || isOther(body))
    case "postgres": {
      const sql = canonicalSql(body)
      if (sql === "") throw invalid("an action is not empty")
      return prefix === "pattern:" ? patternForm(`pattern:${sql}`, sql, sqlPattern(sql)) : exactForm(sql)
    }
  }
}

function digestForm(written: string): Form {
  if (!/^sha256:[0-9a-f]{64}$/i.test(written)) throw invalid("after sha256: come 64 hexadecimal digits")
  const text = written.toLowerCase()
  return { text, exact: undefined, covers: (canonical) => digestOf(canonical) === text }
}

/** `marked`: without the prefix it would mean something else. */
function exactForm(body: string, marked = false): Form {
  const text = marked || prefixed.test(body) ? `exact:${body}` : body
  return { text, exact: body, covers: (canonical) => canonical === body }
}

/** The text of a pattern is itself covered: somebody who runs exactly what was approved, with its `*`, runs what was read. */
function patternForm(text: string, literal: string, pattern: Pattern): Form {
  return { text, exact: undefined, covers: (canonical) => canonical === literal || pattern(canonical) }
}

const isForward = (body: string): boolean => body.startsWith("forward ")
/** Without a prefix it would not be a command. */
const isOther = (body: string): boolean => isForward(body) || isFileScope(body)

function commandForm(body: string): Form {
  if (!body.includes("*")) return exactForm(body, isOther(body))
  return patternForm(prefixed.test(body) || isOther(body) ? `pattern:${body}` : body, body, commandPattern(body))
}

function forwardForm(body: string): Form {
  const [, remote = "", rest = ""] = /^forward +(remote +)?(.*)$/s.exec(body) ?? []
  const where = rest.trim()
  const before = remote === "" ? "forward " : "forward remote "
  if (`${before}${where}` === forward_agent) {
    return { text: forward_agent, exact: forward_agent, about: "forward", covers: (canonical) => canonical === forward_agent }
  }
  try {
    const pattern = destinationPattern(where)
    const covers = (canonical: string): boolean => {
      const named = canonical.startsWith(before) ? readDestination(canonical.slice(before.length)) : undefined
      return named !== undefined && pattern.covers(named)
    }
    return { text: before + pattern.text, exact: pattern.exact && before + pattern.exact, about: "forward", covers }
  } catch (failure) {
    throw invalid(`after "forward", or "forward remote": ${(failure as Error).message}; a command of that name is written exact:forward …`)
  }
}

function fileForm(body: string): Form {
  try {
    return { ...readFileScope(body), about: "file" }
  } catch (failure) {
    throw invalid(`after "sftp" come ${(failure as Error).message}; a command of that name is written exact:sftp …`)
  }
}

function httpForm(body: string, prefix: string): Form {
  const { methods, path } = /^(?<methods>\*|[A-Z]+(?:,[A-Z]+)*) +(?<path>\/[!-~\u0080-\u{10ffff}]*)$/u.exec(body)?.groups ?? {}
  if (methods === undefined || path === undefined)
    throw invalid('an HTTP action is a method and a path, such as "GET /api/orders", "GET,HEAD /api/*" or "* /api/*"')
  if (/[?#]/.test(path)) throw invalid("an HTTP action is a method and a path: its query is not looked at")
  const names = [...new Set(methods.split(","))].sort()
  const text = `${names.join(",")} ${path}`
  const [name] = names
  if (prefix === "exact:" || (names.length === 1 && name !== "*" && !path.includes("*"))) {
    if (names.length > 1) throw invalid("an exact HTTP action has one method")
    return exactForm(text, text.includes("*"))
  }
  const pattern = pathPattern(path)
  const covers = (canonical: string): boolean => {
    const space = canonical.indexOf(" ")
    const method = canonical.slice(0, space)
    return (names.includes(method) || (name === "*" && method !== websocket)) && pattern(canonical.slice(space + 1))
  }
  return { text, exact: undefined, covers }
}

const canonicalSql = (sql: string): string => sql.replace(/^[ \t\n\r\f]+/, "").replace(/[ \t\n\r\f;]+$/, "")

const invalid = (what: string): GatewayError => new GatewayError("invalid", { what })
