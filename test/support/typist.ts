// Somebody at a keyboard: a program in a terminal of its own (a real pty), keys sent one by one, each after the last was answered.
//
//   const typist = sit("ssh", ["host"]); await typist.reads(/\$ $/); await typist.keys("ls -l"); typist.press("\r"); await typist.over
import { spawn } from "@lydell/node-pty"
import { eventually } from "./wait.ts"

export interface Typist {
  /** All that was shown so far. */
  readonly shown: () => string
  /** Waits until what was shown since the last call matches, escape sequences left out. */
  reads(pattern: RegExp): Promise<void>
  /** One key after the other; waits for each to be answered. */
  keys(text: string): Promise<void>
  /** All at once, without waiting. */
  press(text: string): void
  resize(columns: number, rows: number): void
  /** Its exit status. */
  readonly over: Promise<number>
  stop(): void
}

const limit_ms = 20_000

// oxlint-disable-next-line no-control-regex
const plain = (text: string): string => text.replaceAll(/\u001b(?:\[[ -?]*[@-~]|\][^\u0007]*\u0007|[ -/]*[0-~])/g, "")

export function sit(program: string, args: readonly string[], size: { columns?: number; rows?: number; term?: string } = {}): Typist {
  const { columns = 80, rows = 24, term = "xterm-256color" } = size
  const pty = spawn(program, [...args], { cols: columns, rows, name: term, env: { ...process.env, TERM: term } })
  let shown = ""
  let read = 0
  let running = true
  pty.onData((text) => (shown += text))
  const over = new Promise<number>((resolve) =>
    pty.onExit(({ exitCode }) => {
      running = false
      resolve(exitCode)
    }),
  )
  const wait = (what: string, condition: () => boolean): Promise<unknown> =>
    eventually(
      what,
      () => {
        if (!condition()) throw new Error(`shown since: ${JSON.stringify(shown.slice(read))}`)
        return true
      },
      limit_ms,
    )
  return {
    shown: () => shown,
    reads: async (pattern) => {
      await wait(`${program} to show ${pattern}`, () => pattern.test(plain(shown.slice(read))))
      read = shown.length
    },
    keys: async (text) => {
      for (const key of text) {
        const before = shown.length
        pty.write(key)
        await wait(`the key ${JSON.stringify(key)} to be answered`, () => shown.length > before)
      }
    },
    press: (text) => pty.write(text),
    resize: (to_columns, to_rows) => pty.resize(to_columns, to_rows),
    over,
    stop: () => {
      if (running) pty.kill("SIGKILL")
    },
  }
}
