// A single action as an operator writes it in an example: SQL, a command, "METHOD /path", or, of what has no text of its own on SSH,
// the words that name it in a grant ("forward 10.0.0.9:6379", "sftp write /etc/passwd") and in a rule ("shell"). Pure.
import type { Action, FileOperation } from "./action.ts"
import { type Destination, readDestination } from "./destination.ts"
import { fileOperations } from "./file_match.ts"
import type { ProtocolName } from "./target.ts"

/** Throws an Error with words for the one who wrote it. */
export function writtenAction(protocol: ProtocolName, written: string): Action {
  const text = written.trim()
  if (text === "") throw new Error("an action is not empty")
  switch (protocol) {
    case "postgres":
      return { kind: "postgres.statement", how: "simple", sql: text }
    case "ssh":
      return sshAction(text)
    case "http":
      return httpAction(text)
    case "tcp":
      if (text !== "connect") throw new Error("a tcp target has one action: connect")
      return { kind: "tcp.connect" }
  }
}

function sshAction(text: string): Action {
  if (text.startsWith("exact:")) return { kind: "ssh.exec", channel: 0, command: text.slice("exact:".length) }
  if (text === "shell") return { kind: "ssh.shell", channel: 0 }
  if (text === "sftp") return { kind: "ssh.sftp", channel: 0, access: "all" }
  if (text.startsWith("sftp ")) return { kind: "ssh.file", channel: 0, ...fileOperation(text) }
  if (text === "forward agent") return { kind: "ssh.agent", channel: 0 }
  if (text.startsWith("forward remote "))
    return { kind: "ssh.forward", direction: "remote", ...place(text.slice("forward remote ".length)) }
  if (text.startsWith("forward ")) return { kind: "ssh.forward", direction: "local", ...place(text.slice("forward ".length)) }
  return { kind: "ssh.exec", channel: 0, command: text }
}

function place(text: string): Destination {
  const destination = readDestination(text)
  if (!destination) throw new Error("expected forward [remote] host:port, such as forward 10.0.0.9:6379, or forward agent")
  return destination
}

const expected_file = `expected sftp, an operation (${fileOperations.filter((op) => op !== "other").join(", ")}) and a path, such as sftp write /etc/hosts or sftp rename /a to /b`

function fileOperation(text: string): FileOperation {
  const { op = "", path = "", to } = /^sftp (?<op>[a-z]+|read,write) (?<path>\/\S*)(?: to (?<to>\/\S*))?$/.exec(text)?.groups ?? {}
  switch (op) {
    case "read":
    case "write":
    case "read,write":
      if (to === undefined) return { op: "open", path, flags: op === "read,write" ? ["read", "write"] : [op] }
      break
    case "list":
    case "remove":
    case "mkdir":
    case "rmdir":
      if (to === undefined) return { op, path }
      break
    case "rename":
    case "symlink":
    case "hardlink":
    case "copy":
      if (to !== undefined) return { op, path, to }
      break
    case "setattr":
      if (to === undefined) return { op, path, set: {} }
  }
  throw new Error(expected_file)
}

function httpAction(text: string): Action {
  const [, method = "", path = ""] = /^([A-Z]+) (\/\S*)$/.exec(text) ?? []
  if (method === "") throw new Error("expected a method in capital letters and a path, such as DELETE /api/users/7")
  if (path.includes("?")) throw new Error("the query is not looked at: leave it out")
  return method === "WEBSOCKET"
    ? { kind: "http.request", method: "GET", path, query: [], upgrade: "websocket" }
    : { kind: "http.request", method, path, query: [] }
}
