import assert from "node:assert/strict"
import { once } from "node:events"
import http from "node:http"
import type { AddressInfo } from "node:net"
import { afterEach, describe, test } from "node:test"
import { decodeJwt } from "jose"
import type { Credential } from "../../../src/api/client.ts"
import type { FeedLine } from "../../../src/api/feed_schema.ts"
import { service_header } from "../../../src/api/signed_call.ts"
import { generateOpensshKey } from "../../../src/config/openssh_key.ts"
import { newServiceId } from "../../../src/core/ids.ts"
import { limits } from "../../../src/core/limits.ts"
import { Secret } from "../../../src/core/secret.ts"
import { Feed } from "../../../src/gateway/control_plane/feed.ts"
import { gatewaySigner } from "../../../src/identity/gateway_assertion.ts"
import { createLog } from "../../../src/observe/log.ts"
import { FakeClock } from "../../support/fake_clock.ts"
import { eventually } from "../../support/wait.ts"

const grant = {
  id: "g_0123456789abcdef",
  request: 1,
  subject: "alice",
  target: "shop",
  as: null,
  starts_at: 0,
  ends_at: 1,
  status: "active",
  revision: 6,
  ended_by: null,
  ended_reason: null,
  ended_at: null,
}

const open: (() => void)[] = []
afterEach(() => open.splice(0).forEach((close) => close()))

/** An approval service that says what the test says, and a feed that listens to it. */
async function setUp(credentialBy?: (clock: FakeClock) => Credential) {
  const asked: { url: string; authorization: string | undefined; say(line: object): void; hangUp(): void }[] = []
  let refusing = false
  let answering: string | undefined
  const server = http.createServer((request, response) => {
    if (refusing) response.statusCode = 401
    if (answering !== undefined) response.setHeader(service_header, answering)
    response.flushHeaders()
    if (refusing) response.end()
    asked.push({
      url: request.url ?? "",
      authorization: request.headers.authorization,
      say: (line) => void response.write(`${JSON.stringify(line)}\n`),
      hangUp: () => response.destroy(),
    })
  })
  server.listen(0, "127.0.0.1")
  await once(server, "listening")
  const clock = new FakeClock()
  const heard: FeedLine[] = []
  let otherHistories = 0
  const feed = new Feed({
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    credential: credentialBy?.(clock) ?? (() => new Secret("gateway key")),
    clock,
    log: createLog("silent"),
    onChange: (line) => heard.push(line),
    onConnect: () => {},
    onOtherHistory: () => otherHistories++,
  })
  open.push(() => {
    feed.close()
    server.closeAllConnections()
    server.close()
  })
  feed.start()
  /** The service's side of the n-th connection. */
  const connection = (index: number) =>
    eventually(`connection ${index}`, () => {
      if (asked.length <= index && index > 0) clock.advance(100) // the first retry's delay; little, for a call that takes long is old
      return asked[index]
    })
  return {
    clock,
    feed,
    heard,
    connection,
    otherHistories: () => otherHistories,
    refuse: (yes = true) => (refusing = yes),
    answerAs: (service: string) => (answering = service),
  }
}

describe("the feed", () => {
  test("knows nothing until the service has spoken, and shows the gateway's key", async () => {
    const { feed, connection } = await setUp()
    assert.equal(feed.fresh, false)
    const first = await connection(0)
    assert.equal(first.authorization, "Bearer gateway key")
    first.say({ kind: "hello", sequence: 5 })
    await feed.connected()
    await eventually("fresh", () => feed.fresh)
  })

  test("is stale when it has heard nothing for the freshness bound, and fresh again with the next word", async () => {
    const { clock, feed, connection } = await setUp()
    const first = await connection(0)
    first.say({ kind: "hello", sequence: 5 })
    await eventually("fresh", () => feed.fresh)
    clock.advance(limits.freshness_ms + 1)
    assert.equal(feed.fresh, false)
    first.say({ kind: "beat", sequence: 5 })
    await eventually("fresh again", () => feed.fresh)
  })

  test("resumes from the last change it heard, and is not fresh until it has caught up", async () => {
    const { clock, feed, heard, connection } = await setUp()
    const first = await connection(0)
    first.say({ kind: "hello", sequence: 5 })
    first.say({ kind: "grant", sequence: 6, grant })
    await eventually("the change", () => heard.length === 1)
    first.hangUp()
    const second = await connection(1)
    assert.equal(second.url, "/v1/gateway/feed?after=6")
    clock.advance(limits.freshness_ms + 1)
    second.say({ kind: "hello", sequence: 8 })
    second.say({ kind: "grant", sequence: 7, grant: { ...grant, status: "revoked", revision: 7 } })
    await eventually("the missed change", () => heard.length === 2)
    assert.equal(feed.fresh, false, "another change may still be on its way")
    second.say({ kind: "beat", sequence: 8 })
    await eventually("caught up", () => feed.fresh)
  })

  test("a service whose history is behind what was heard is another one", async () => {
    const { feed, connection, otherHistories } = await setUp()
    const first = await connection(0)
    first.say({ kind: "hello", sequence: 50 })
    await feed.connected()
    first.hangUp()
    const second = await connection(1)
    second.say({ kind: "hello", sequence: 3 })
    await eventually("noticed", () => otherHistories() === 1)
  })

  test("a service that tells another history, however long it is, is heard from its beginning", async () => {
    const { feed, connection, otherHistories } = await setUp()
    const first = await connection(0)
    first.say({ kind: "hello", sequence: 5, history: "one" })
    await feed.connected()
    first.hangUp()
    const second = await connection(1)
    assert.match(second.url, /\?after=5&history=one$/)
    second.say({ kind: "hello", sequence: 90, history: "two" })
    await eventually("noticed", () => otherHistories() === 1)
    second.hangUp()
    const third = await connection(2)
    assert.match(third.url, /\?after=0&history=two$/)
    third.say({ kind: "hello", sequence: 90, history: "two" })
    third.say({ kind: "beat", sequence: 90 })
    await eventually("caught up", () => feed.fresh)
    assert.equal(otherHistories(), 1)
  })

  test("a line that is not of the feed drops the connection and comes back", async () => {
    const { connection } = await setUp()
    const first = await connection(0)
    first.say({ kind: "grant", sequence: "six" })
    await connection(1)
  })

  test("a word that lay on its way is as old as when it was sent, and the connection that brought it is given up", async () => {
    const { clock, feed, connection } = await setUp()
    const first = await connection(0)
    const at = 1_000_000 // the service's clock is its own
    first.say({ kind: "hello", sequence: 5, at, service: "a" })
    await eventually("fresh", () => feed.fresh)
    clock.advance(limits.freshness_ms - 1)
    first.say({ kind: "beat", sequence: 5, at: at + limits.freshness_ms - 1 })
    clock.advance(2)
    await eventually("the beat was read", () => feed.fresh)
    // We slept: what was sent before is read now.
    clock.advance(3600_000)
    first.say({ kind: "beat", sequence: 5, at: at + limits.freshness_ms })
    const second = await connection(1)
    assert.equal(feed.fresh, false)
    second.say({ kind: "hello", sequence: 5, at: 2_000_000, service: "a" })
    await eventually("fresh again", () => feed.fresh)
  })

  test("a gateway that is shut out opens nothing new from then on, however lately it has heard something", async () => {
    const { feed, connection, refuse } = await setUp()
    const first = await connection(0)
    first.say({ kind: "hello", sequence: 5, at: 0, service: "a" })
    await eventually("fresh", () => feed.fresh)
    first.hangUp()
    refuse()
    await connection(1)
    await eventually("it to have understood", () => !feed.fresh)
  })

  test("a gateway that signed for a service which was started anew signs for the new one from then on", async () => {
    const { private: privateKey } = generateOpensshKey("gw")
    const { feed, connection, refuse, answerAs } = await setUp((clock) => gatewaySigner({ name: "gw", privateKey, clock }))
    const [former, now] = [newServiceId(), newServiceId()]
    const audience = async (index: number) => decodeJwt(((await connection(index)).authorization ?? "").replace("Bearer ", "")).aud
    answerAs(former)
    const first = await connection(0)
    first.say({ kind: "hello", sequence: 5, at: 0, service: former })
    first.say({ kind: "beat", at: 0 })
    await eventually("fresh", () => feed.fresh)
    answerAs(now)
    refuse()
    first.hangUp()
    assert.equal(await audience(1), former)
    refuse(false)
    assert.equal(await audience(2), now)
  })

  test("a change alone does not make it fresh: it says nothing of when", async () => {
    const { clock, feed, heard, connection } = await setUp()
    const first = await connection(0)
    first.say({ kind: "hello", sequence: 5, at: 0, service: "a" })
    await eventually("fresh", () => feed.fresh)
    clock.advance(limits.freshness_ms + 1)
    first.say({ kind: "grant", sequence: 6, grant })
    await eventually("the change", () => heard.length === 1)
    assert.equal(feed.fresh, false)
  })

  test("clocks that drift apart are compared anew, with the same service and where the answer was quick", async () => {
    const { clock, feed, connection } = await setUp()
    const first = await connection(0)
    first.say({ kind: "hello", sequence: 5, at: 0, service: "a" })
    await eventually("fresh", () => feed.fresh)
    // A day later the service's clock is 10 s behind: what it says now would look old.
    clock.advance(86_400_000)
    const at = 86_390_000
    feed.measured({ asked_at: clock.now(), at: at + 5_000_000, service: "b" }) // another one's clock
    feed.measured({ asked_at: clock.now() - limits.heartbeat_ms - 1, at: at + 5_000_000, service: "a" }) // took too long to tell
    feed.measured({ asked_at: clock.now(), at, service: "a" })
    first.say({ kind: "beat", sequence: 5, at })
    await eventually("fresh by the new comparison", () => feed.fresh)
    clock.advance(limits.freshness_ms)
    assert.equal(feed.fresh, true, "and to the millisecond")
    clock.advance(1)
    assert.equal(feed.fresh, false)
  })

  test("a service whose clock leaps ahead is heard when it is heard, not in the future", async () => {
    const { clock, feed, connection } = await setUp()
    const first = await connection(0)
    first.say({ kind: "hello", sequence: 5, at: 0, service: "a" })
    first.say({ kind: "beat", sequence: 5, at: 3600_000 })
    await feed.connected()
    await eventually("fresh", () => feed.fresh)
    clock.advance(limits.freshness_ms + 1)
    assert.equal(feed.fresh, false)
  })
})
