// `sluice start`: runs until it is told to stop. The first SIGTERM or Ctrl-C drains: nobody new comes in and live sessions get a little
// time; the second cuts them at once. SIGHUP, or `sluice reload`, reloads the config.
import { Option } from "commander"
import type { AnyProtocol } from "../../gateway/contract.ts"
import { createLog, type LogLevel } from "../../observe/log.ts"
import { config_default, readSound } from "../config_file.ts"
import type { AddVerb } from "../context.ts"
import { openControl } from "../running/control.ts"
import { Failure } from "../failure.ts"
import { Reloader } from "../running/reloader.ts"
import type { Role } from "../running/start.ts"

interface Options {
  readonly config: string
  readonly role: Role
  readonly logLevel: LogLevel
}

export const addStart =
  (protocols: () => Promise<readonly AnyProtocol[]>): AddVerb =>
  (program) => {
    program
      .command("start")
      .description("run the gateway, the approval service, or both")
      .option("--config <file>", "the config", config_default)
      .addOption(new Option("--role <role>", "what to run").choices(["all", "gateway", "approvals"]).default("all"))
      .addOption(new Option("--log-level <level>", "how much to log").choices(["debug", "info", "warn", "error", "silent"]).default("info"))
      .action(async ({ config: path, role, logLevel }: Options) => {
        const inUse = await readSound(path)
        const { config, source } = inUse
        const log = createLog(logLevel)
        // Loaded here: whoever asks for a grant should not wait for servers to load. Telemetry comes before what it measures.
        const { startTelemetry } = await import("../../observe/telemetry.ts")
        const endTelemetry = await startTelemetry(log)
        const { start } = await import("../running/start.ts")
        const fork = { words: ["worker", "--log-level", logLevel], source }
        // One that comes while it starts is done then.
        let early = false
        let onHangup = (): void => void (early = true)
        process.on("SIGHUP", () => onHangup())
        const running = await start({ config, role, protocols: await protocols(), log, fork }).catch((failure: unknown) => {
          log.error({ err: failure }, "could not start")
          throw new Failure(`could not start: ${(failure as Error).message}`, whatToDo(failure))
        })
        const reloader = new Reloader({ path, inUse, running, log })
        const control = await openControl({ state: running.state, role, reload: () => reloader.reload(), log })
        onHangup = () => void reloader.reload()
        if (early) onHangup()
        log.info({ role }, "sluice is running")
        await untilTold((time_ms_max) => {
          log.info({}, "stopping: live sessions get a little time; a second signal cuts them now")
          return running.drain(time_ms_max)
        })
        await control.close()
        await endTelemetry()
        log.info({}, "sluice has stopped")
      })
  }

/**
 * Runs until a signal says to stop, or what `also` is given is called: drains then, and cuts at the second time. Settles when all
 * is over. A Ctrl-C, or a service manager, tells every process of a group, and one that has children tells them too: what comes both
 * ways is one time.
 */
export async function untilTold(
  drain: (time_ms_max?: number) => Promise<void>,
  also: (stop: (time_ms_max?: number) => void) => void = () => {},
): Promise<void> {
  const over = Promise.withResolvers<void>()
  const times = { signal: 0, also: 0 }
  let begun = 0 // drains: the second cuts
  const stop = (way: keyof typeof times, time_ms_max?: number): void => {
    const most = Math.max(++times[way], times.signal, times.also)
    if (begun >= 2 || (most <= begun && time_ms_max !== 0)) return
    drain(++begun === 1 ? time_ms_max : 0).then(over.resolve, over.reject)
  }
  const onSignal = (): void => stop("signal")
  process.on("SIGTERM", onSignal).on("SIGINT", onSignal)
  also((time_ms_max) => stop("also", time_ms_max))
  // Its listeners and timers keep a running Sluice alive; this keeps one that has neither yet.
  const alive = setInterval(() => {}, 60_000)
  await over.promise
  clearInterval(alive)
  process.off("SIGTERM", onSignal).off("SIGINT", onSignal)
}

/** The code may lie on a cause: the words around it say which listener it was. */
function whatToDo(failure: unknown): string {
  const { code, cause } = failure as NodeJS.ErrnoException
  if (code === "EADDRINUSE") return "Another program listens there: stop it, or change the address in the config."
  if (code === "EACCES") return "This user may not do that: a port below 1024, or a folder of somebody else's."
  return cause instanceof Error ? whatToDo(cause) : ""
}
