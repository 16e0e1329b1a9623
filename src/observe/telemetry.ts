// Starts the OpenTelemetry SDK when the usual environment asks for it (OTEL_EXPORTER_OTLP_ENDPOINT and its kin, as the OpenTelemetry
// specification, "OTLP Exporter Configuration", names them). Only `main` and `start` call this, and before anything is measured.
// Without that environment nothing is loaded: the SDK is large.
import { setTimeout as delay } from "node:timers/promises"
import { limits } from "../core/limits.ts"
import type { Log } from "./log.ts"

/** Ends telemetry, sending what is left; waits `telemetry_flush_ms_max` at most, and never rejects. */
export type Shutdown = () => Promise<void>

const endpoints = ["OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_METRICS_ENDPOINT"] as const

export async function startTelemetry(log: Log, environment: NodeJS.ProcessEnv = process.env): Promise<Shutdown> {
  const asked = endpoints.some((name) => environment[name])
  if (!asked || environment["OTEL_SDK_DISABLED"] === "true") return async () => {}
  const [general, traces, metrics] = endpoints.map((name) => Boolean(environment[name]))
  // What was not asked for is not sent to a default address.
  environment["OTEL_SERVICE_NAME"] ??= "sluice"
  environment["OTEL_TRACES_EXPORTER"] ??= general || traces ? "otlp" : "none"
  environment["OTEL_METRICS_EXPORTER"] ??= general || metrics ? "otlp" : "none"
  environment["OTEL_LOGS_EXPORTER"] ??= "none"
  const { NodeSDK } = await import("@opentelemetry/sdk-node")
  const sdk = new NodeSDK()
  sdk.start()
  log.info({ endpoint: endpoints.filter((name) => environment[name]) }, "telemetry is on")
  return async () => {
    const late = delay(limits.telemetry_flush_ms_max, "late", { ref: false })
    const ended = await Promise.race([sdk.shutdown(), late]).catch((failure: unknown) => failure)
    if (ended !== undefined) log.warn({ err: ended }, "not all telemetry was sent")
  }
}
