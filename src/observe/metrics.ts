// What is counted and measured, in one place. Without an OpenTelemetry SDK every call ends in a function that does nothing. The
// instruments are made on first use, because those made before the SDK runs stay without effect: `main` starts it first.
import { metrics as api } from "@opentelemetry/api"
import type { Meter } from "@opentelemetry/api"
import type { ProtocolName } from "../core/target.ts"

export const metrics = {
  sessionOpened(protocol: ProtocolName): void {
    instruments().sessions_live.add(1, { protocol })
  },

  sessionClosed(protocol: ProtocolName): void {
    instruments().sessions_live.add(-1, { protocol })
  },

  /** An action was decided about. */
  decided(verdict: "allow" | "deny"): void {
    instruments().actions.add(1, { verdict })
  },

  /** A request for access was filed. */
  requested(): void {
    instruments().requests.add(1)
  },

  /** A person, or a rule by itself, decided about a request. */
  judged(verdict: "approve" | "deny"): void {
    instruments().decisions.add(1, { verdict })
  },

  /** Bytes forwarded: "up" is towards the target. */
  forwarded(protocol: ProtocolName, direction: "up" | "down", bytes: number): void {
    instruments().bytes.add(bytes, { protocol, direction })
  },

  /** From the moment a session had to end to its client's closed connection. */
  cut(latency_ms: number): void {
    instruments().cut_duration.record(latency_ms / 1_000)
  },

  /** From an event to the kernel's answer that it has it. */
  recorded(write_ms: number): void {
    instruments().recorder_write_duration.record(write_ms / 1_000)
  },

  /** A config was read again. */
  reloaded(outcome: "reloaded" | "refused"): void {
    instruments().reloads.add(1, { outcome })
  },

  /** A connection ended before it was anybody's; `reason` is one of few words of ours. */
  refused(protocol: ProtocolName, reason: string): void {
    instruments().handshakes_refused.add(1, { protocol, reason })
  },
}

// Seconds, as every duration in Prometheus and in OpenTelemetry's own metrics.
const seconds = {
  unit: "s",
  advice: { explicitBucketBoundaries: [0.000_1, 0.000_5, 0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5] },
}

function make(meter: Meter) {
  return {
    sessions_live: meter.createUpDownCounter("sluice.sessions.live", { description: "sessions that are open now" }),
    actions: meter.createCounter("sluice.actions", { description: "actions decided about, by verdict" }),
    requests: meter.createCounter("sluice.requests", { description: "requests for access that were filed" }),
    decisions: meter.createCounter("sluice.decisions", { description: "approvals and denials, of people and of rules" }),
    reloads: meter.createCounter("sluice.config.reloads", { description: "configs that were put in the place of one in use, or refused" }),
    bytes: meter.createCounter("sluice.bytes", { unit: "By", description: "bytes forwarded, by direction" }),
    cut_duration: meter.createHistogram("sluice.cut.duration", {
      ...seconds,
      description: "from the end of a grant to the closed connection",
    }),
    recorder_write_duration: meter.createHistogram("sluice.recorder.write.duration", {
      ...seconds,
      description: "one write of a recording",
    }),
    handshakes_refused: meter.createCounter("sluice.handshakes.refused", { description: "connections that ended before a login" }),
  }
}

let made: ReturnType<typeof make> | undefined
const instruments = (): ReturnType<typeof make> => (made ??= make(api.getMeter("sluice")))
