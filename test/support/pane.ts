// A terminal that somebody sits at, with a person's own shell in it: tmux, whose screen can be read.
//
//   const pane = await openPane(); await pane.type("ls\n"); await pane.shows(/README/); await pane.close()
import { randomBytes } from "node:crypto"
import { must, run } from "./run.ts"
import { eventually } from "./wait.ts"

export interface Pane {
  type(text: string): Promise<void>
  /** The rows of the screen as they are now, without what is blank at their ends. */
  rows(): Promise<string[]>
  /** Waits until the screen, its rows joined by newlines, matches. */
  shows(pattern: RegExp, limit_ms?: number): Promise<string>
  /** A variable of tmux about its terminal, such as `alternate_on` and `cursor_flag`. */
  flag(name: string): Promise<string>
  resize(columns: number, rows: number): Promise<void>
  close(): Promise<void>
}

export async function openPane({ columns = 100, rows = 24 }: { columns?: number; rows?: number } = {}): Promise<Pane> {
  const server = ["-L", `sluice-${process.pid}-${randomBytes(4).toString("hex")}`, "-f", "/dev/null"]
  const tmux = (...args: string[]): Promise<string> => must("tmux", [...server, ...args], { env: { TMUX: undefined, LC_ALL: "C.UTF-8" } })
  const shell = "env PS1='own$ ' HISTFILE= sh"
  await tmux("new-session", "-d", "-x", String(columns), "-y", String(rows), shell, ";", "set", "-g", "status", "off")
  const read = async (): Promise<string[]> => (await tmux("capture-pane", "-p")).split("\n").map((row) => row.trimEnd())
  return {
    type: async (text) => void (await tmux("send-keys", "-l", text)),
    rows: read,
    shows: (pattern, limit_ms = 20_000) =>
      eventually(
        `the terminal to show ${pattern}`,
        async () => {
          const screen = (await read()).join("\n")
          if (!pattern.test(screen)) throw new Error(`the terminal shows:\n${screen}`)
          return screen
        },
        limit_ms,
      ),
    flag: async (name) => (await tmux("display-message", "-p", `#{${name}}`)).trim(),
    resize: async (to_columns, to_rows) => void (await tmux("resize-window", "-x", String(to_columns), "-y", String(to_rows))),
    close: async () => void (await run("tmux", [...server, "kill-server"])),
  }
}
