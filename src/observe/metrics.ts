// What Sluice counts, in one place. Through @opentelemetry/api alone: without an SDK every call here does nothing, and whether
// there is one is decided in `telemetry.ts`.
import { metrics as api } from "@opentelemetry/api"
import type { ProtocolName } from "../core/target.ts"

const meter = api.getMeter("sluice")

const sessionsLive = meter.createUpDownCounter("sluice.sessions.live", { description: "Sessions that are open now" })
const decisions = meter.createCounter("sluice.decisions", { description: "Grant checks and action decisions, by verdict" })
const bytes = meter.createCounter("sluice.bytes", { unit: "By", description: "Bytes forwarded, counted when a session ends" })
const cutLatency = meter.createHistogram("sluice.cut.duration", { unit: "ms", description: "From a cut to the closed client" })
const refusals = meter.createCounter("sluice.handshakes.refused", { description: "Clients turned away before they were known" })

export const metrics = {
  sessionOpened: (protocol: ProtocolName): void => sessionsLive.add(1, { protocol }),
  sessionClosed: (protocol: ProtocolName): void => sessionsLive.add(-1, { protocol }),
  decided: (verdict: "allow" | "deny"): void => decisions.add(1, { verdict }),
  forwarded: (direction: "up" | "down", count: number): void => bytes.add(count, { direction }),
  cut: (duration_ms: number): void => cutLatency.record(duration_ms),
  refused: (protocol: ProtocolName, why: "connections" | "handshakes" | "address" | "handshake_timeout"): void =>
    refusals.add(1, { protocol, why }),
}
