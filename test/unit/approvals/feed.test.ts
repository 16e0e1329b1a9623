// The feed, read as a gateway reads it: over HTTP, line by line.
import assert from "node:assert/strict"
import test, { type TestContext } from "node:test"
import { PassThrough, Writable } from "node:stream"
import { feedLine, type FeedLine } from "../../../src/api/feed_schema.ts"
import { newServiceId } from "../../../src/core/ids.ts"
import { limits } from "../../../src/core/limits.ts"
import { Feed } from "../../../src/approvals/feed.ts"
import { createLog } from "../../../src/observe/log.ts"
import { FakeClock } from "../../support/fake_clock.ts"
import { openNewStore } from "../../support/store.ts"
import { eventually } from "../../support/wait.ts"
import { gatewayKey, hour, type Service, startService } from "./service.ts"

interface Listener {
  readonly lines: FeedLine[]
  readonly closed: Promise<void>
  stop(): void
}

async function listen(t: TestContext, service: Service, after?: number | string): Promise<Listener> {
  const stop = new AbortController()
  t.after(() => stop.abort())
  const response = await fetch(`${service.url}/v1/gateway/feed${after === undefined ? "" : `?after=${after}`}`, {
    headers: { authorization: `Bearer ${gatewayKey}` },
    signal: stop.signal,
  })
  assert.equal(response.status, 200)
  assert.equal(response.headers.get("content-type"), "application/x-ndjson")
  const lines: FeedLine[] = []
  const read = async (): Promise<void> => {
    let rest = ""
    for await (const chunk of response.body ?? []) {
      const parts = (rest + Buffer.from(chunk).toString()).split("\n")
      rest = parts.pop() ?? ""
      lines.push(...parts.map((part) => feedLine.parse(JSON.parse(part))))
    }
  }
  return { lines, closed: read().catch(() => {}), stop: () => stop.abort() }
}

const historyOf = async (service: Service): Promise<unknown> => (await service.query("select id from history"))[0]?.["id"]
const serviceOf = ({ lines: [hello] }: Listener): string => {
  assert(hello?.kind === "hello" && hello.service !== undefined)
  return hello.service
}
const changes = (lines: readonly FeedLine[]): FeedLine[] => lines.filter(({ kind }) => kind === "grant" || kind === "kill")
const grantIds = (lines: readonly FeedLine[]): string[] => lines.flatMap((line) => (line.kind === "grant" ? [line.grant.id] : []))
const autoGrant = async (service: Service, duration_ms: number) => (await service.ask({ target: "grafana", duration_ms })).body.grant

test("feed: whoever followed another history hears all of this one", async (t) => {
  const service = await startService(t)
  const made = [await autoGrant(service, hour), await autoGrant(service, 2 * hour)]
  const present = made.at(-1)?.revision ?? 0
  const mine = await listen(t, service, present)
  const other = await listen(t, service, `${present}&history=0123456789abcdef0123456789abcdef`)
  await eventually("all of it", () => changes(other.lines).length === 2 && mine.lines.length >= 2)
  assert.deepEqual(
    grantIds(other.lines),
    made.map((grant) => grant?.id),
  )
  assert.deepEqual(changes(mine.lines), [])
})

test("feed: says where it stands, then each change as it commits", async (t) => {
  const service = await startService(t)
  const before = await autoGrant(service, hour)
  const feed = await listen(t, service)
  await eventually("hello and a first beat", () => feed.lines.length >= 2)
  assert.deepEqual(feed.lines.slice(0, 2), [
    { kind: "hello", sequence: before?.revision, history: await historyOf(service), at: service.clock.now(), service: serviceOf(feed) },
    { kind: "beat", sequence: before?.revision, at: service.clock.now() },
  ])
  const made = await autoGrant(service, 2 * hour)
  assert(made)
  const { body: revoked } = await service.call("dana", `POST /v1/grants/${made.id}/revoke`, { reason: "over" })
  await eventually("both changes", () => changes(feed.lines).length === 2)
  assert.deepEqual(changes(feed.lines)[0], { kind: "grant", sequence: made.revision, grant: made })
  assert.deepEqual(changes(feed.lines)[1], {
    kind: "grant",
    sequence: (revoked as unknown as { revision: number }).revision,
    grant: revoked,
  })
})

test("feed: beats when nothing happens", async (t) => {
  const service = await startService(t)
  const feed = await listen(t, service)
  const beats = (): number => feed.lines.filter(({ kind }) => kind === "beat").length
  await eventually("the first beat", () => beats() === 1)
  await eventually("more beats as time passes", () => {
    service.clock.advance(limits.heartbeat_ms)
    return beats() >= 4
  })
})

test("feed: resumes after a sequence with all that was missed, in order, each as it was then", async (t) => {
  const service = await startService(t)
  const first = await autoGrant(service, hour)
  const second = await autoGrant(service, 2 * hour)
  assert(first && second)
  await service.call("dana", `POST /v1/grants/${second.id}/revoke`, {})
  await service.ask() // an event that is not of the feed
  await service.restart()
  const feed = await listen(t, service, first.revision)
  await eventually("caught up", () => feed.lines.some(({ kind }) => kind === "beat"))
  assert.deepEqual(
    feed.lines.map((line) => (line.kind === "grant" ? `${line.grant.id} ${line.grant.status}` : line.kind)),
    ["hello", "request", `${second.id} active`, `${second.id} revoked`, "beat"],
  )
  assert.equal(feed.lines.at(-1)?.sequence, feed.lines[0]?.sequence)
})

test("feed: a subscriber that followed another history is told the present and begins there", async (t) => {
  const service = await startService(t)
  const feed = await listen(t, service, 1_000_000)
  await eventually("hello", () => feed.lines.length > 0)
  const hello = { kind: "hello", sequence: 0, history: await historyOf(service), at: service.clock.now(), service: serviceOf(feed) }
  assert.deepEqual(feed.lines[0], hello)
  const made = await autoGrant(service, hour)
  await eventually("the change", () => grantIds(feed.lines).length === 1)
  assert.deepEqual(grantIds(feed.lines), [made?.id])
})

test("feed: no gap, no repetition and no disorder for those who join while changes commit", async (t) => {
  const service = await startService(t)
  const listeners: Listener[] = []
  const total = 60
  for (let n = 0; n < total; n++) {
    const asking = autoGrant(service, hour + n)
    if (n % 6 === 0) listeners.push(await listen(t, service, 0))
    if (n % 3 === 0) await asking
  }
  await eventually("every listener has everything", () => listeners.every(({ lines }) => grantIds(lines).length >= total))
  for (const { lines } of listeners) {
    assert.equal(new Set(grantIds(lines)).size, total)
    assert.equal(grantIds(lines).length, total)
    const sequences = changes(lines).map(({ sequence }) => sequence)
    assert.deepEqual(
      sequences,
      [...sequences].sort((a, b) => a - b),
    )
  }
})

test("feed: catches up over more lines than are written at once", async (t) => {
  const service = await startService(t)
  const total = limits.feed_lines_max * 2 + 3
  for (let n = 0; n < total; n += 50)
    await Promise.all(Array.from({ length: Math.min(50, total - n) }, (_, m) => autoGrant(service, hour + n + m)))
  const feed = await listen(t, service, 0)
  await eventually("everything", () => feed.lines.some(({ kind }) => kind === "beat"))
  assert.equal(new Set(grantIds(feed.lines)).size, total)
})

test("feed: a client that leaves is forgotten, and the service closes what is left", async (t) => {
  const service = await startService(t)
  const feed = await listen(t, service)
  await eventually("hello", () => feed.lines.length > 0)
  await service.restart()
  await feed.closed
})

test("feed: a subscriber that does not read is let go, and others are not held up by it", async (t) => {
  const clock = new FakeClock()
  const { store } = await openNewStore(clock)
  t.after(() => store.close())
  const log = createLog("silent")
  const feed = new Feed({ store, clock, log, service: newServiceId() })
  const deaf = new Writable({ highWaterMark: 1, write: () => {} })
  const reader = new PassThrough()
  reader.resume()
  const following = { after: 0, stands: () => true }
  const ended = feed.serve(deaf, following)
  void feed.serve(reader, following)
  await eventually("the first line waits", () => deaf.writableLength > 0)
  await eventually("it is let go", () => {
    clock.advance(limits.heartbeat_ms)
    return deaf.destroyed
  })
  await ended
  assert.equal(feed.subscribers, 1)
  reader.destroy()
  await eventually("the one that left is forgotten", () => feed.subscribers === 0)
  feed.close()
})
