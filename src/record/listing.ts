// A recording as a list of what was done, for people: one line an event, its time since the beginning, and every word that came from
// outside escaped, so that a statement cannot look like the line after it.
import type { Action, BoundValue, FileAttributes, FileName } from "../core/action.ts"
import type { Millis } from "../core/clock.ts"
import { destinationText } from "../core/destination.ts"
import { formatDuration } from "../core/duration.ts"
import { visible } from "../core/visible.ts"
import { bytesOf, type Event, type Line, type Outcome, type SessionHeader } from "./events.ts"

/** "00:01:02.345" */
export function offset(ms: number): string {
  const [whole, part] = [Math.floor(Math.max(0, ms) / 1000), Math.floor(Math.max(0, ms) % 1000)]
  const two = (value: number): string => String(value).padStart(2, "0")
  return `${two(Math.floor(whole / 3600))}:${two(Math.floor(whole / 60) % 60)}:${two(whole % 60)}.${String(part).padStart(3, "0")}`
}

/** Lines of text without their ends. */
export function listed(line: Line, began_at: Millis): string[] {
  const [first = "", ...more] = words(line)
  const indent = " ".repeat("00:00:00.000  ".length)
  return [`${offset(line.t - began_at)}  ${first}`, ...more.map((text) => indent + text)]
}

function words(line: Line): string[] {
  switch (line.kind) {
    case "session":
      return header(line, line.t)
    case "action":
      return action(line, line.action)
    case "held":
      return held(line)
    case "settled":
      return [settled(line)]
    case "estimate":
      return [`request ${line.request}: ${visible(line.by)} asks how much it would do`]
    case "estimated":
      return [
        `request ${line.request}: ${line.why === null ? `about ${line.rows} rows, cost ${line.cost}` : `no estimate: ${visible(line.why)}`}`,
      ]
    case "outcome":
      return [outcome(line)]
    case "data":
      return data(line)
    case "digest":
      return [
        `${line.channel} ${visible(line.stream)}: ${line.bytes} bytes in all${line.sha256 === undefined ? "" : `, SHA-256 ${visible(line.sha256)}`}`,
      ]
    case "transfer":
      return [transfer(line)]
    case "opened":
      return [`#${line.n} the target connects by #${line.action}${line.from === undefined ? "" : ` for ${visible(line.from)}`}`]
    case "closed":
      return [outcome({ ...line, action: line.opened })]
    case "pty":
      return [`${line.channel} a terminal, ${visible(line.term)}, ${line.columns}×${line.rows}`]
    case "resize":
      return [`${line.channel} the terminal is now ${line.columns}×${line.rows}`]
    case "typed":
      return [
        `${line.channel} typed${line.enters ? `, with Enter${line.enters > 1 ? ` ${line.enters} times` : ""}` : ""}${line.pasted ? ", pasted" : ""}`,
      ]
    case "signal":
      return [`${line.channel} signal ${visible(line.name)}`]
    case "env":
      return [`${line.channel} environment variable ${visible(line.name)}`]
    case "startup":
      return [startup(line)]
    case "role":
      return [`role ${visible(line.name)} ${line.what}, a member of ${line.member_of.map(visible).join(", ")}`]
    case "prepared":
      return prepared(line)
    case "refused":
      return [`REFUSED ${visible(line.what)}`]
    case "silent":
      return [
        `the ${line.side === "target" ? "target" : "client"} has gone silent: nothing came from it for ${formatDuration(line.for_ms)}`,
      ]
    case "swept":
      return [`to end what runs there, the gateway ran on the target: ${visible(line.command)}`]
    case "warning":
      return [`warned: ${formatDuration(line.left_ms)} left`]
    case "extended":
      return [`the grant now ends ${utc(line.ends_at)}`]
    case "cut":
      return [`CUT ${line.code}${line.by === undefined ? "" : ` by ${visible(line.by)}`}${line.reason ? `: ${visible(line.reason)}` : ""}`]
    case "end":
      return [
        `end: ${line.code}${line.code === "interrupted" ? " (the gateway died)" : `, ${line.bytes_up} bytes up, ${line.bytes_down} bytes down`}`,
      ]
    default:
      return [`an event this version does not know: ${visible(JSON.stringify(line))}`]
  }
}

function prepared({ statement = "", portal, sql, sql_bytes, values = [] }: Extract<Line, { kind: "prepared" }>): string[] {
  const name = portal === undefined ? `statement ${visible(statement)}` : `portal ${visible(portal)}`
  const cut = sql_bytes === undefined ? "" : ` … (${sql_bytes} bytes in all)`
  return [`prepared, as ${name.trimEnd()}: ${visible(sql)}${cut}`, ...values.map((value, at) => `    $${at + 1} = ${bound(value)}`)]
}

function startup({ database, settings }: Extract<Line, { kind: "startup" }>): string {
  const told = Object.entries(settings).map(([name, value]) => ` ${visible(name)}=${visible(value)}`)
  return `database ${visible(database)}${told.length > 0 ? `, with${told.join("")}` : ""}`
}

/** Who, where, when and by what right. */
export function header(session: SessionHeader, began_at: Millis): string[] {
  const as = session.as === null ? "" : ` as ${visible(session.as)}`
  return [
    `${visible(session.subject)} on ${visible(session.target)}${as} (${visible(session.protocol)}), ${utc(began_at)}`,
    `session ${visible(session.id)}, grant ${visible(session.grant)} of request ${session.request}, until ${utc(session.grant_ends_at)}`,
    `from ${visible(session.client)} through ${visible(session.gateway)}, proven by ${visible(session.via)}`,
  ]
}

function held({ n, action: one, rule, request, digest }: Extract<Line, { kind: "held" }>): string[] {
  const [first = "", ...more] = action({ n, t: 0, kind: "action", verdict: "allow", action: one }, one)
  const by = `HELD by ${visible(rule)}, request ${request}`
  return [first.replace(`#${n} `, () => `#${n} ${by}: `), ...more, `  ${visible(digest)}`]
}

function settled({ held: n, request, how, by, reason, waited_ms }: Extract<Line, { kind: "settled" }>): string {
  const who = by.length === 0 ? "" : ` by ${visible(by.join(", "))}`
  return `#${n} ${how}${who} after ${formatDuration(waited_ms)} (request ${request})${reason ? `: ${visible(reason)}` : ""}`
}

const utc = (at: Millis): string => `${new Date(at).toISOString().slice(0, 19).replace("T", " ")} UTC`

function action({ n, verdict, rule, flagged }: Extract<Line, { kind: "action" }>, one: Action): string[] {
  const by = rule === undefined ? "" : `by ${visible(rule)} `
  const mark = verdict === "deny" ? `#${n} DENIED ${by}` : flagged ? `#${n} FLAGGED ${by}` : `#${n} `
  switch (one.kind) {
    case "postgres.statement": {
      const cut = one.sql_bytes === undefined ? "" : ` … (${one.sql_bytes} bytes in all)`
      const how = one.how === "function_call" ? "function call " : ""
      return [`${mark}${how}${visible(one.sql)}${cut}`, ...(one.values ?? []).map((value, at) => `    $${at + 1} = ${bound(value)}`)]
    }
    case "ssh.shell":
      return [`${mark}${one.channel} a shell`]
    case "ssh.exec":
      return [`${mark}${one.channel} ${visible(one.command)}`]
    case "ssh.sftp":
      return [`${mark}${one.channel} sftp${one.access === "read" ? ", to read only" : ""}`]
    case "ssh.file":
      return [`${mark}${one.channel} ${file(one)}`]
    case "ssh.forward": {
      const where = visible(destinationText(one))
      return [`${mark}${one.direction === "remote" ? `the target listens at ${where}` : `forward to ${where}`}`]
    }
    case "ssh.agent":
      return [`${mark}${one.channel} may use the agent of the client`]
    case "tcp.connect":
      return [`${mark}a connection`]
    case "http.request": {
      const query = one.query.length === 0 ? "" : `?${one.query.map((name) => `${visible(name)}=…`).join("&")}`
      return [`${mark}${visible(one.method)} ${visible(one.path)}${query}${one.upgrade === undefined ? "" : ` (${one.upgrade})`}`]
    }
    default:
      return [`${mark}an action this version does not know: ${visible(JSON.stringify(one))}`]
  }
}

function file(one: Extract<Action, { kind: "ssh.file" }>): string {
  switch (one.op) {
    case "open":
      return `open ${fileName(one.path)} (${one.flags.map(visible).join(", ")})${attributes(one.set)}`
    case "rename":
    case "symlink":
    case "hardlink":
    case "copy":
      return `${one.op} ${fileName(one.path)} → ${fileName(one.to)}`
    case "setattr":
      return `set ${fileName(one.path)}${attributes(one.set)}`
    case "other":
      return `${visible(one.name)}${one.path === undefined ? "" : ` ${fileName(one.path)}`}`
    case "mkdir":
      return `mkdir ${fileName(one.path)}${attributes(one.set)}`
    case "list":
    case "remove":
    case "rmdir":
      return `${one.op} ${fileName(one.path)}`
    default:
      return `an operation this version does not know: ${visible(JSON.stringify(one))}`
  }
}

const attributes = (set: FileAttributes | undefined): string => (set ? `: ${Object.entries(set).map(attribute).join(", ")}` : "")

function attribute([name, value]: [string, number]): string {
  if (name === "mode") return `mode ${value.toString(8)}`
  return `${visible(name)} ${name.endsWith("time") ? utc(value * 1000) : value}`
}

/** Quoted, because a name may have spaces; bytes that are no text in hex. */
function fileName(name: FileName): string {
  if (typeof name === "string") return `"${visible(name).replaceAll('"', '\\"')}"`
  return `"${Buffer.from(name.base64, "base64")
    .toString("latin1")
    .replaceAll(/[^ !#-[\]-~]/g, hex)}"`
}

const hex = (character: string): string => `\\x${character.charCodeAt(0).toString(16).padStart(2, "0")}`

function transfer(event: Extract<Event, { kind: "transfer" }>): string {
  const digest = (sha256: string | undefined): string => (sha256 === undefined ? "" : ` (SHA-256 ${visible(sha256)})`)
  const bytes = `${event.bytes_up} bytes up${digest(event.sha256_up)}, ${event.bytes_down} bytes down${digest(event.sha256_down)}`
  return `#${event.action} ${event.closed ? "closed" : "left open"}: ${bytes}`
}

function bound({ format, value, text, bytes }: BoundValue): string {
  if (value === null) return "NULL"
  if (text !== undefined) return `'${visible(text)}'`
  const cut = bytes === undefined ? "" : ` … (${bytes} bytes in all)`
  return format === "binary" ? `\\x${visible(value)}${cut}` : `'${visible(value)}'${cut}`
}

function outcome(of: Outcome): string {
  const facts = [
    of.status,
    of.tag === undefined ? undefined : visible(of.tag),
    of.rows === undefined ? undefined : `${of.rows} ${of.rows === 1 ? "row" : "rows"}`,
    of.sqlstate === undefined ? undefined : `SQLSTATE ${visible(of.sqlstate)}`,
    of.exit === undefined ? undefined : `exit ${of.exit}`,
    of.signal === undefined ? undefined : `signal ${visible(of.signal)}`,
    of.http_status === undefined ? undefined : `HTTP ${of.http_status}`,
    of.sftp_status === undefined ? undefined : `SFTP status ${of.sftp_status}`,
    of.lookups === undefined ? undefined : `${of.lookups} lookups`,
    of.bytes_up === undefined ? undefined : `${of.bytes_up} bytes up`,
    of.bytes_down === undefined ? undefined : `${of.bytes_down} bytes down`,
    of.duration_ms === undefined ? undefined : `${Number(of.duration_ms.toFixed(1))} ms`,
  ]
  return `#${of.action} → ${facts.filter((fact) => fact !== undefined).join(", ")}`
}

function data(event: Extract<Event, { kind: "data" }>): string[] {
  const before = `${event.channel} ${visible(event.stream)}| `
  if (!("text" in event)) return [`${before}(${bytesOf(event).length} bytes that are not text)`]
  const lines = event.text.split("\n")
  if (lines.at(-1) === "") lines.pop()
  return lines.map((line) => before + visible(line))
}
