// What the approval service hears of sessions: in order, until it is heard, and all of it when it asks.
import assert from "node:assert/strict"
import { test } from "node:test"
import type { ApiClient } from "../../../src/api/client.ts"
import type { SessionReport, SessionReports } from "../../../src/api/schema.ts"
import { GatewayError } from "../../../src/core/errors.ts"
import { newSessionId, type SessionId } from "../../../src/core/ids.ts"
import { limits } from "../../../src/core/limits.ts"
import { Reporter } from "../../../src/gateway/control_plane/reporter.ts"
import { alone } from "../../../src/gateway/siblings.ts"
import { createLog } from "../../../src/observe/log.ts"
import { FakeClock } from "../../support/fake_clock.ts"
import { eventually } from "../../support/wait.ts"

type Started = Extract<SessionReport, { event: "started" }>

const started = (id = newSessionId()): Started => ({
  event: "started",
  session: {
    id,
    gateway: "gw",
    protocol: "ssh",
    subject: "alice",
    target: "prod-host",
    as: null,
    grant: "g_0123456789abcdef" as Started["session"]["grant"],
    client: "203.0.113.7:1",
    started_at: 1,
  },
})
const ended = (id: SessionId): SessionReport => ({ event: "ended", id, ended_at: 2, ended_why: "closed" })

/** A service that keeps a catalogue as the real one does, and that may be away. */
function setUp() {
  const heard: SessionReports[] = []
  const live = new Map<SessionId, Started>()
  let away = false
  let meanwhile = (): void => {}
  const api = {
    async call(_route: "report", { body }: { body: SessionReports }) {
      await Promise.resolve()
      meanwhile()
      if (away) throw new GatewayError("stale")
      heard.push(body)
      return {}
    },
  } as unknown as ApiClient
  const clock = new FakeClock()
  const reporter = new Reporter({ gateway: "gw", siblings: alone, api, clock, log: createLog("silent") })
  return {
    clock,
    reporter,
    heard,
    live,
    away: (is: boolean) => (away = is),
    during: (task: () => void) => (meanwhile = task),
    start: () => reporter.start(() => [...live.values()]),
    open(one = started()) {
      live.set(one.session.id, one)
      reporter.push(one)
      return one.session.id
    },
    close(id: SessionId) {
      live.delete(id)
      reporter.push(ended(id))
    },
    /** What the service believes to be live after all it has heard. */
    believed() {
      const ids = new Set<SessionId>()
      for (const { reports, live: all } of heard) {
        for (const report of reports) {
          if (report.event === "started") ids.add(report.session.id)
          else ids.delete(report.id)
        }
        if (all) for (const id of ids) if (!all.includes(id)) ids.delete(id)
      }
      return [...ids].sort()
    },
  }
}

test("reporter: says at its start that nothing before it goes on, and then each session", async () => {
  const { reporter, heard, start, open, close, believed } = setUp()
  start()
  await reporter.flush()
  assert.deepEqual(heard, [{ gateway: "gw", live: [], workers: 1, reports: [] }])
  const [one, two] = [open(), open()]
  await reporter.flush()
  assert.deepEqual(believed(), [one, two].sort())
  close(one)
  await reporter.flush()
  assert.deepEqual(believed(), [two])
})

test("reporter: the first goes out at once, and what comes after it together", async () => {
  const { reporter, heard, start, open, close } = setUp()
  start()
  await reporter.flush()
  await eventually("the pause to be over", async () => {
    heard.length = 0
    open()
    await new Promise(setImmediate)
    return heard.length === 1
  })
  const ids = [open(), open()]
  await new Promise(setImmediate)
  ids.forEach(close)
  await eventually("the rest", () => heard.length > 1)
  assert.deepEqual(
    heard.slice(1).map(({ reports }) => reports.map(({ event }) => event)),
    [["started", "started", "ended", "ended"]],
  )
  await reporter.flush()
})

test("reporter: tells everything again when it is asked, and what ends or begins meanwhile is not lost", async () => {
  const { reporter, heard, start, open, close, during, believed } = setUp()
  start()
  const ids = Array.from({ length: 1_200 }, () => open())
  await reporter.flush()
  heard.length = 0 // the service has forgotten all of it
  let calls = 0
  const begun: SessionId[] = []
  during(() => {
    if (++calls > 6) return
    close(ids.pop()!)
    begun.push(open())
  })
  reporter.announce()
  await eventually("all to be told", async () => {
    await reporter.flush()
    return calls > 6 && believed().length === ids.length + begun.length
  })
  assert.deepEqual(believed(), [...ids, ...begun].sort())
  assert(heard.every(({ reports }) => reports.length <= 500))
  assert(heard.some(({ live }) => live !== undefined))
})

test("reporter: what the service did not hear is told when it is there, an announcement whole", async () => {
  const { reporter, clock, away, start, open, close, believed } = setUp()
  start()
  await reporter.flush()
  away(true)
  const [one, two] = [open(), open()]
  reporter.announce()
  await reporter.flush()
  close(one)
  away(false)
  await eventually("all to be told", () => {
    clock.advance(limits.feed_retry_ms_max)
    return believed().length === 1
  })
  assert.deepEqual(believed(), [two])
})
