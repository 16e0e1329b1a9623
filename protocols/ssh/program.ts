// What a client starts on a channel, the action that it is, and how it is started on the target.
import { isUtf8 } from "node:buffer"
import type { Action } from "../../src/core/action.ts"
import type { Channel } from "./channel.ts"
import { pack, packTerminal, type Terminal } from "./codec.ts"

/** A shell, a command as the bytes the client sent, or the file transfer subsystem. */
export type Program =
  | { readonly kind: "shell" }
  | { readonly kind: "exec"; readonly command: Buffer }
  | { readonly kind: "sftp"; readonly access: "all" | "read" }

export function actionOf(channel: number, program: Program): Action {
  if (program.kind === "exec") return execOf(channel, program.command)
  return program.kind === "sftp" ? { kind: "ssh.sftp", channel, access: program.access } : { kind: "ssh.shell", channel }
}

export interface Prepared {
  readonly env: readonly (readonly [name: string, value: string])[]
  readonly terminal: Terminal | undefined
  /** To the person at the terminal. */
  say(words: string): void
}

/** Everything that comes before the program and the program itself, in one go: no waiting for answers in between. */
export function startProgram(up: Channel, program: Program, { env, terminal, say }: Prepared): Promise<boolean> {
  for (const [name, value] of env) void up.request("env", pack(name, value), false)
  if (terminal) {
    void up.request("pty-req", packTerminal(terminal)).then((given) => {
      if (!given && up.open) say("sluice: the target gave no terminal\r\n")
    })
  }
  if (program.kind === "sftp") return up.request("subsystem", pack("sftp"))
  return program.kind === "exec" ? up.request("exec", pack(program.command)) : up.request("shell", Buffer.alloc(0))
}

const execOf = (channel: number, command: Buffer): Action => ({
  kind: "ssh.exec",
  channel,
  command: command.toString("utf8"),
  ...(isUtf8(command) ? {} : { inexact: true }),
})
