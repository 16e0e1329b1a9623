// Real programs as children: each in its own process group, with a time limit, ended by its id and never left behind.
//
//   const ran = await run("psql", ["-c", "SELECT 1"], { env })         // to its end
//   const shell = launch("ssh", ["-tt", "host"])                       // while it lives
//   await shell.says(/\$ /); shell.type("exit 3\n"); (await shell.ended).status
import { type ChildProcess, spawn } from "node:child_process"
import { Socket } from "node:net"

export interface RunOptions {
  /** Added to this process's environment; undefined takes a variable away. */
  readonly env?: Readonly<Record<string, string | undefined>>
  readonly cwd?: string
  /** All of standard input. `run` gives none when left out; `launch` keeps it open for `type`. */
  readonly input?: string | Buffer
  readonly uid?: number
  readonly gid?: number
  /** After this it is killed and `timedOut` says so. */
  readonly limit_ms?: number
  /** A server: no limit, and it does not keep this process alive, so that a test that fails before it stops it still ends. */
  readonly background?: boolean
}

export interface Ran {
  readonly stdout: string
  readonly stderr: string
  /** null when a signal ended it. */
  readonly status: number | null
  readonly signal: NodeJS.Signals | null
  readonly timedOut: boolean
}

const limit_ms_default = 120_000
const groups = new Set<number>()
process.once("exit", () => groups.forEach((pid) => signalGroup(pid, "SIGKILL")))
// Ctrl-C, or a runner that loses patience: a Node that a signal ends runs no exit handlers by itself.
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.once(signal, () => process.exit(130))

/** Runs a program to its end. Does not throw for an exit status; throws when it cannot be started. */
export function run(program: string, args: readonly string[], options: RunOptions = {}): Promise<Ran> {
  return launch(program, args, { input: "", ...options }).ended
}

/** As `run`, and throws unless the program exits with 0; answers its standard output. */
export async function must(program: string, args: readonly string[], options: RunOptions = {}): Promise<string> {
  const ran = await run(program, args, options)
  if (ran.status !== 0) throw new Error(`${program} ${args.join(" ")}: ${ran.timedOut ? "timed out" : `exit ${ran.status}`}\n${ran.stderr}`)
  return ran.stdout
}

export function launch(program: string, args: readonly string[], options: RunOptions = {}): Program {
  return new Program(program, args, options)
}

export class Program {
  readonly pid: number | undefined
  /** Rejects only when the program could not be started. */
  readonly ended: Promise<Ran>
  /** What it has said so far. */
  stdout = ""
  stderr = ""
  readonly #child: ChildProcess
  readonly #name: string
  #over: Ran | undefined
  #timedOut = false
  readonly #watchers = new Set<() => void>()

  constructor(program: string, args: readonly string[], options: RunOptions) {
    this.#name = [program, ...args].join(" ")
    const child = spawn(program, args, {
      // A test runner's own marks must not reach a Node that a test starts.
      env: { ...process.env, NODE_TEST_CONTEXT: undefined, NODE_V8_COVERAGE: undefined, ...options.env },
      detached: true, // a group of its own, so that what it starts ends with it
      stdio: ["pipe", "pipe", "pipe"],
      ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
      ...(options.uid === undefined ? {} : { uid: options.uid }),
      ...(options.gid === undefined ? {} : { gid: options.gid }),
    })
    this.#child = child
    this.pid = child.pid
    child.stdin?.on("error", () => {}) // it left before reading everything
    if (options.input !== undefined) child.stdin?.end(options.input)
    this.ended = this.#watch(options.background ? undefined : (options.limit_ms ?? limit_ms_default))
    if (options.background) this.#hold("unref")
    this.ended.catch(() => {})
  }

  /** Waits for a match in what it has said on either stream; throws when it ends or `limit_ms` passes without. */
  says(pattern: RegExp | string, limit_ms = 60_000): Promise<RegExpMatchArray> {
    const find = (): RegExpMatchArray | null =>
      typeof pattern === "string"
        ? (this.stdout.match(escaped(pattern)) ?? this.stderr.match(escaped(pattern)))
        : (this.stdout.match(pattern) ?? this.stderr.match(pattern))
    return new Promise((resolve, reject) => {
      const settle = (answer: RegExpMatchArray | Error): void => {
        clearTimeout(timer)
        this.#watchers.delete(look)
        if (answer instanceof Error) reject(answer)
        else resolve(answer)
      }
      const fail = (why: string): void =>
        settle(new Error(`${this.#name}: ${why} before it said ${pattern}\nstdout: ${this.stdout}\nstderr: ${this.stderr}`))
      const look = (): void => {
        const found = find()
        if (found) settle(found)
        else if (this.#over) fail(`ended (status ${this.#over.status}, signal ${this.#over.signal})`)
      }
      const timer = setTimeout(() => fail("time ran out"), limit_ms)
      this.#watchers.add(look)
      look()
    })
  }

  type(text: string | Buffer): void {
    this.#child.stdin?.write(text)
  }

  closeInput(): void {
    this.#child.stdin?.end()
  }

  get running(): boolean {
    return this.#over === undefined
  }

  /** Settles as `ended` does; waits for it even when it runs in the background. */
  end(): Promise<Ran> {
    if (this.running) this.#hold("ref")
    return this.ended
  }

  /** To the program alone. */
  signal(signal: NodeJS.Signals): void {
    if (this.pid !== undefined && this.running) this.#child.kill(signal)
  }

  /** Ends its whole group, asking first; answers how it ended. */
  async stop(signal: NodeJS.Signals = "SIGTERM"): Promise<Ran> {
    const { pid } = this
    if (pid !== undefined && this.running) {
      this.#hold("ref")
      signalGroup(pid, signal)
      const insist = setTimeout(() => signalGroup(pid, "SIGKILL"), 15_000)
      await this.ended.finally(() => clearTimeout(insist))
    }
    return this.ended
  }

  /** Whether this process waits for it. */
  #hold(how: "ref" | "unref"): void {
    this.#child[how]()
    for (const stream of this.#child.stdio) if (stream instanceof Socket) stream[how]()
  }

  #watch(limit_ms: number | undefined): Promise<Ran> {
    const child = this.#child
    const { pid } = child
    if (pid !== undefined) groups.add(pid)
    child.stdout?.setEncoding("utf8").on("data", (text: string) => this.#heard("stdout", text))
    child.stderr?.setEncoding("utf8").on("data", (text: string) => this.#heard("stderr", text))
    return new Promise((resolve, reject) => {
      const tooLong = (): void => {
        this.#timedOut = true
        if (pid !== undefined) signalGroup(pid, "SIGKILL")
      }
      const timer = limit_ms === undefined ? undefined : setTimeout(tooLong, limit_ms)
      child.once("error", (failure) => {
        clearTimeout(timer)
        reject(failure)
      })
      child.once("close", (status, signal) => {
        clearTimeout(timer)
        if (pid !== undefined) groups.delete(pid)
        this.#over = { stdout: this.stdout, stderr: this.stderr, status, signal, timedOut: this.#timedOut }
        this.#watchers.forEach((look) => look())
        resolve(this.#over)
      })
    })
  }

  #heard(stream: "stdout" | "stderr", text: string): void {
    this[stream] += text
    this.#watchers.forEach((look) => look())
  }
}

function signalGroup(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(-pid, signal)
  } catch {
    // it has ended already
  }
}

const escaped = (text: string): RegExp => new RegExp(text.replaceAll(/[.*+?^${}()|[\]\\]/g, "\\$&"))
