import assert from "node:assert/strict"
import { execFile } from "node:child_process"
import { once } from "node:events"
import { createServer } from "node:http"
import type { AddressInfo } from "node:net"
import { test } from "node:test"
import { promisify } from "node:util"

const run = promisify(execFile)

// In a process of its own: the SDK is global and started once.
const script = `
import { trace } from "@opentelemetry/api"
import { createLog } from "./src/observe/log.ts"
import { metrics } from "./src/observe/metrics.ts"
import { startTelemetry } from "./src/observe/telemetry.ts"
const shutdown = await startTelemetry(createLog("info"))
metrics.sessionOpened("ssh")
metrics.sessionClosed("ssh")
metrics.decided("allow")
metrics.forwarded("ssh", "up", 10)
metrics.cut(12)
metrics.recorded(0.2)
metrics.refused("ssh", "busy")
trace.getTracer("sluice").startSpan("a span").end()
await shutdown()
console.log("ended", Object.keys(process.env).filter((name) => name.startsWith("OTEL")).join())
process.exit(0)
`

function runScript(environment: Record<string, string>): Promise<{ stdout: string; stderr: string }> {
  const { PATH = "", HOME = "" } = process.env
  const cwd = new URL("../../../", import.meta.url)
  return run(process.execPath, ["--input-type=module", "-e", script], { cwd, env: { PATH, HOME, ...environment } })
}

test("telemetry: with the usual environment, every instrument and span arrives by OTLP", async (t) => {
  const got = new Map<string, string>()
  const collector = createServer((request, response) => {
    const chunks: Buffer[] = []
    request.on("data", (chunk: Buffer) => chunks.push(chunk))
    request.on("end", () => {
      got.set(request.url!, (got.get(request.url!) ?? "") + Buffer.concat(chunks).toString("latin1"))
      response.end()
    })
  }).listen(0, "127.0.0.1")
  t.after(() => collector.close())
  await once(collector, "listening")
  const { stderr } = await runScript({ OTEL_EXPORTER_OTLP_ENDPOINT: `http://127.0.0.1:${(collector.address() as AddressInfo).port}` })
  assert.match(stderr, /telemetry is on/)
  const names = ["sessions.live", "actions", "bytes", "cut.duration", "recorder.write.duration", "handshakes.refused"]
  for (const name of names) assert(got.get("/v1/metrics")?.includes(`sluice.${name}`), `sluice.${name} in ${[...got.keys()].join()}`)
  assert(got.get("/v1/traces")?.includes("a span"))
  assert.deepEqual([...got.keys()].sort(), ["/v1/metrics", "/v1/traces"])
})

test("telemetry: without that environment nothing starts and every call is free to make", async () => {
  const { stdout, stderr } = await runScript({})
  assert.equal(stderr, "")
  assert.doesNotMatch(stdout, /OTEL/)
})

test("telemetry: a collector that is not there holds nothing up", async () => {
  const { stdout, stderr } = await runScript({ OTEL_EXPORTER_OTLP_METRICS_ENDPOINT: "http://127.0.0.1:1/v1/metrics" })
  assert.match(stderr, /telemetry is on/)
  assert.match(stderr, /not all telemetry was sent/)
  assert.match(stdout, /^ended/)
})
