// What a client starts on a channel, and the action that it is.
import { isUtf8 } from "node:buffer"
import type { Action } from "../../src/core/action.ts"

/** A shell, a command as the bytes the client sent, or the file transfer subsystem. */
export type Program =
  | { readonly kind: "shell" }
  | { readonly kind: "exec"; readonly command: Buffer }
  | { readonly kind: "sftp"; readonly access: "all" | "read" }

export function actionOf(channel: number, program: Program): Action {
  if (program.kind === "exec") return execOf(channel, program.command)
  return program.kind === "sftp" ? { kind: "ssh.sftp", channel, access: program.access } : { kind: "ssh.shell", channel }
}

const execOf = (channel: number, command: Buffer): Action => ({
  kind: "ssh.exec",
  channel,
  command: command.toString("utf8"),
  ...(isUtf8(command) ? {} : { inexact: true }),
})
