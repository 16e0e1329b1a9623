// `sluice worker`: what `sluice start` runs when the gateway is several processes. Not for people: its place among the others comes in
// the environment, and it ends when the process that started it does.
import cluster from "node:cluster"
import { openState } from "../../config/state.ts"
import { systemClock } from "../../core/clock.ts"
import type { SourceMessage } from "../../config/config_source.ts"
import type { AnyProtocol } from "../../gateway/contract.ts"
import type { Gateway } from "../../gateway/gateway.ts"
import type { Siblings } from "../../gateway/siblings.ts"
import { createLog, type LogLevel } from "../../observe/log.ts"
import { shareRecordings } from "../../record/folder_lock.ts"
import type { AddVerb } from "../context.ts"
import { Failure } from "../failure.ts"
import { untilTold } from "./start_verb.ts"
import { configOf, WorkerConfigs } from "../running/worker_configs.ts"
import { type FromWorker, type Place, place_variable, type ToWorker } from "../running/worker_messages.ts"

interface Options {
  readonly logLevel: LogLevel
}

export const addWorker =
  (protocols: () => Promise<readonly AnyProtocol[]>): AddVerb =>
  (program) => {
    program
      .command("worker", { hidden: true })
      .requiredOption("--log-level <level>")
      .action(async ({ logLevel }: Options) => {
        const written = process.env[place_variable]
        if (!process.send || written === undefined) throw new Failure("a worker is started by `sluice start`", "", { status: 2 })
        const place = JSON.parse(written) as Place
        const go = Promise.withResolvers<SourceMessage>()
        const begun = Promise.withResolvers<Gateway>()
        begun.promise.catch(() => {}) // whoever started us hears of it
        const configs = new WorkerConfigs(begun.promise, (message) => void say(message))
        // It may be told to stop while it still starts.
        const early: (number | undefined)[] = []
        let onDrain = (time_ms_max: number | undefined): void => void early.push(time_ms_max)
        hear((message) => {
          configs.hear(message)
          if (message.kind === "go") go.resolve(message.source)
          if (message.kind === "drain") onDrain(message.time_ms_max)
        })
        process.on("SIGHUP", () => {}) // the one that started us hears of it too, and sends what comes of it
        const log = createLog(logLevel).child({ worker: place.index })
        const { startTelemetry } = await import("../../observe/telemetry.ts")
        const endTelemetry = await startTelemetry(log)
        const { startGateway } = await import("../running/start.ts")
        const list = await protocols()
        const config = await configOf(await go.promise)
        const state = await openState(config.state)
        const siblings = siblingsOf(place)
        const started = async () => {
          shareRecordings({ ...config.recordings, log }) // until this process ends
          return startGateway({ config, protocols: list, log, state, clock: systemClock(), ...place, siblings })
        }
        const running = await started().catch(async (failure: unknown) => {
          const { message, code, cause } = failure as NodeJS.ErrnoException
          await say({ kind: "failed", message, code: code ?? (cause as NodeJS.ErrnoException | undefined)?.code })
          return undefined
        })
        if (!running) return process.disconnect()
        const { gateway, listening } = running
        begun.resolve(gateway)
        hear((message) => {
          if (message.kind === "ready") void say({ kind: "ready", answer: gateway.ready })
        })
        void say({ kind: "started", listening, ca: gateway.ca })
        await untilTold(
          (time_ms_max) => gateway.drain(time_ms_max),
          (stop) => {
            onDrain = stop
            for (const time_ms_max of early) stop(time_ms_max)
            // Without the one that started us nobody would stop us, nor tell us what others know. Node would end us on the spot.
            if (cluster.worker) cluster.worker.exitedAfterDisconnect = true
            process.once("disconnect", () => stop(0))
          },
        )
        await endTelemetry()
        if (process.connected) process.disconnect()
      })
  }

function siblingsOf({ index, count }: Place): Siblings {
  return {
    index,
    count,
    tell: (to, words) => void say({ kind: "tell", index: to, words }),
    onTold: (listen) =>
      hear((message) => {
        if (message.kind === "told") listen(message.words)
      }),
  }
}

/** Settles when it was sent, or cannot be any more. */
const say = (message: FromWorker): Promise<void> =>
  new Promise((resolve) => (process.connected ? process.send?.(message, undefined, {}, () => resolve()) : resolve()))

const hear = (listen: (message: ToWorker) => void): void => void process.on("message", (message) => listen(message as ToWorker))
