// `sluice start`: runs until it is told to stop. The first SIGTERM or Ctrl-C drains: nobody new comes in and live sessions get a little
// time; the second cuts them at once.
import { Option } from "commander"
import type { Protocol } from "../gateway/contract.ts"
import { createLog, type LogLevel } from "../observe/log.ts"
import { config_default, readConfig } from "./config_file.ts"
import type { AddVerb } from "./context.ts"
import { Failure } from "./failure.ts"
import type { Role, Running } from "./start.ts"

interface Options {
  readonly config: string
  readonly role: Role
  readonly logLevel: LogLevel
}

export const addStart =
  (protocols: () => Promise<readonly Protocol[]>): AddVerb =>
  (program) => {
    program
      .command("start")
      .description("run the gateway, the approval service, or both")
      .option("--config <file>", "the config", config_default)
      .addOption(new Option("--role <role>", "what to run").choices(["all", "gateway", "approvals"]).default("all"))
      .addOption(new Option("--log-level <level>", "how much to log").choices(["debug", "info", "warn", "error", "silent"]).default("info"))
      .action(async ({ config: path, role, logLevel }: Options) => {
        const config = await readConfig(path)
        const log = createLog(logLevel)
        // Loaded here: whoever asks for a grant should not wait for servers to load. Telemetry comes before what it measures.
        const { startTelemetry } = await import("../observe/telemetry.ts")
        const endTelemetry = await startTelemetry(log)
        const { start } = await import("./start.ts")
        const running = await start({ config, role, protocols: await protocols(), log }).catch((failure: unknown) => {
          log.error({ err: failure }, "could not start")
          throw new Failure(`could not start: ${(failure as Error).message}`, whatToDo(failure))
        })
        log.info({ role }, "sluice is running")
        await stopped(running, (words) => log.info({}, words))
        await endTelemetry()
        log.info({}, "sluice has stopped")
      })
  }

async function stopped(running: Running, say: (words: string) => void): Promise<void> {
  const asked = Promise.withResolvers<void>()
  const again = Promise.withResolvers<void>()
  let times = 0
  const onSignal = (): void => {
    times++
    if (times === 1) asked.resolve()
    else again.resolve()
  }
  process.on("SIGTERM", onSignal).on("SIGINT", onSignal)
  // Its listeners and timers keep a running Sluice alive; this keeps one that has neither yet.
  const alive = setInterval(() => {}, 60_000)
  await asked.promise
  say("stopping: live sessions get a little time; a second signal cuts them now")
  const drained = running.drain()
  await Promise.race([drained, again.promise.then(() => running.drain(0))])
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
