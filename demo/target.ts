// Runs one demo target in a process of its own, which ends when this one does, however it ends: it notices that the channel
// between them has closed. The child's side is targets/parent.ts.
import { fork, type ChildProcess } from "node:child_process"
import { once } from "node:events"
import { mkdirSync, openSync } from "node:fs"
import { join } from "node:path"
import type { Folder } from "./folder.ts"

export interface Target {
  /** Asks it to end and waits until it has. */
  stop(): Promise<void>
}

export interface TargetOptions {
  readonly folder: Folder
  /** What the target is told when it starts. */
  readonly settings: Readonly<Record<string, unknown>>
}

const start_ms_max = 120_000 // the first start makes a database

/** Starts `targets/<file>.ts`; settles when it can be used. Rejects with its own words when it cannot. */
export async function startTarget(file: "database" | "host" | "app", { folder, settings }: TargetOptions): Promise<Target> {
  mkdirSync(folder.path("logs"), { recursive: true, mode: 0o700 })
  const log = openSync(folder.path("logs", `${file}.log`), "a", 0o600)
  // Detached, so that Ctrl-C in the terminal reaches the demo alone, which then ends things in order.
  const child = fork(join(import.meta.dirname, "targets", `${file}.ts`), [JSON.stringify(settings)], {
    execArgv: [],
    detached: true,
    stdio: ["ignore", log, log, "ipc"],
  })
  const logFile = folder.path("logs", `${file}.log`)
  await ready(child, logFile)
  let stopping = false
  child.once("exit", () => {
    if (!stopping) console.error(`the demo's ${file} has ended; see ${logFile}`)
  })
  return {
    async stop() {
      stopping = true
      if (child.exitCode !== null || child.signalCode !== null) return
      const gone = once(child, "exit")
      if (child.connected) child.disconnect()
      await gone
    },
  }
}

function ready(child: ChildProcess, log: string): Promise<void> {
  return new Promise((resolve, reject) => {
    const settle = (failure?: Error): void => {
      clearTimeout(timer)
      child.removeAllListeners()
      if (!failure) return resolve()
      if (child.connected) child.disconnect()
      reject(failure)
    }
    const timer = setTimeout(() => settle(new Error(`it is not ready after ${start_ms_max / 1000} s; see ${log}`)), start_ms_max)
    child.once("message", (message: { failed?: string }) =>
      settle(message.failed === undefined ? undefined : new Error(`${message.failed}; see ${log}`)),
    )
    child.once("error", settle)
    child.once("exit", () => settle(new Error(`it ended at once; see ${log}`)))
  })
}
