// Notifications arrive: once in the log, at least once at the receiver, whatever becomes of the receiver and of us.
import assert from "node:assert/strict"
import { spawn } from "node:child_process"
import { createHmac } from "node:crypto"
import test, { type TestContext } from "node:test"
import { note } from "../../../../src/approvals/journal.ts"
import { Notifier } from "../../../../src/approvals/notifications/notifier.ts"
import { openSqliteStore } from "../../../../src/approvals/store/sqlite_store.ts"
import type { Store } from "../../../../src/approvals/store.ts"
import type { WebhookChannel } from "../../../../src/config/config.ts"
import { newSessionId } from "../../../../src/core/ids.ts"
import { limits } from "../../../../src/core/limits.ts"
import { Secret } from "../../../../src/core/secret.ts"
import { createLog } from "../../../../src/observe/log.ts"
import { FakeClock } from "../../../support/fake_clock.ts"
import { LineSink } from "../../../support/line_sink.ts"
import { startReceiver, type Receiver } from "../../../support/receiver.ts"
import { scratch } from "../../../support/scratch.ts"
import { eventually } from "../../../support/wait.ts"
import { hour, type Reply, type Service, startService, testConfig } from "../service.ts"

const secret = "a-signing-secret-of-the-tests"

function webhook(to: Pick<Receiver, "url">, change: Partial<WebhookChannel> = {}): WebhookChannel {
  return { name: "hook", on: ["request.*"], way: "webhook", url: new URL(`${to.url}/in`), secret: new Secret(secret), ...change }
}

async function receiver(t: TestContext): Promise<Receiver> {
  const made = await startReceiver()
  t.after(() => made.stop())
  return made
}

interface Body {
  readonly id: string
  readonly version: number
  readonly event: string
  readonly link: string
  readonly text: string
  readonly request: { readonly reason: string }
}
const bodies = ({ received }: Receiver): Body[] => received.map(({ body }) => JSON.parse(body) as Body)
const said = (service: Service, words: string): number => service.log.filter((line) => line.includes(words)).length

const folder = scratch("outbox")
let stores = 0
const newPath = (): string => `${folder}/${++stores}.db`

/** A store with a notifier on it and nothing else, and a way to make things happen. */
async function outbox(t: TestContext, channels: readonly WebhookChannel[], path = newPath(), clock = new FakeClock()) {
  const store = await openSqliteStore(path, clock)
  const sink = new LineSink()
  const people = { list: async () => [] }
  const config = testConfig("/nowhere", { notify: channels })
  const options = {
    store,
    people,
    clock,
    current: () => config,
    log: createLog("debug", sink),
    jitter: () => 1.000001, // no whole milliseconds, as it comes
  }
  const notifier = new Notifier(options)
  t.after(async () => {
    await notifier.close()
    await store.close()
  })
  await eventually("the outbox to begin", async () => (await store.outboxThrough()) !== undefined)
  return { store, clock, notifier, options, path, log: () => sink.text }
}
const happen = (store: Store, count = 1): Promise<void> =>
  store.change(async (change) => {
    for (let index = 0; index < count; index++)
      await note(change, {
        at: Date.UTC(2026, 0, 15, 12),
        kind: "request.asked",
        actor: { actor: "person", by: "alice", from: null },
        detail: { index },
      })
  })

test("notifications: each event is told once, signed, with its link and what the person wrote", async (t) => {
  const hook = await receiver(t)
  const service = await startService(t, { notify: [webhook(hook)] })
  await service.ask({ reason: 'INC-7: "pods" <crash>' })
  await service.call("bob", "POST /v1/requests/1/approve", {})
  await eventually("three notifications", () => hook.received.length >= 3)
  assert.deepEqual(
    bodies(hook)
      .map(({ event }) => event)
      .sort(),
    ["request.approved", "request.asked", "request.decision"],
  )
  const [{ headers, body } = assert.fail(), ...others] = hook.received
  const [, time = "", hex] = /^t=(\d+),v1=([0-9a-f]{64})$/.exec(String(headers["sluice-signature"])) ?? []
  assert.equal(hex, createHmac("sha256", secret).update(`${time}.${body}`).digest("hex"))
  assert.equal(Number(time), Math.floor(service.clock.now() / 1_000))
  const asked = bodies(hook).find(({ event }) => event === "request.asked")
  assert.equal(asked?.link, "http://127.0.0.1/requests/1")
  assert.equal(asked.request.reason, 'INC-7: "pods" <crash>')
  assert.match(asked.text, /^alice@example.com asks for prod-host\nWho: alice@example.com \(engineers\)\n/)
  assert.equal(asked.version, 1)
  assert.equal(new Set(bodies(hook).map(({ id }) => id)).size, others.length + 1)
})

test("notifications: what a rule flags is told with its actions, once a digest, and not by a gateway about another's session", async (t) => {
  const hook = await receiver(t)
  const service = await startService(t, { notify: [webhook(hook, { on: ["action.*"] })] })
  const { body: asked } = await service.ask()
  const { body: approved } = await service.call("bob", `POST /v1/requests/${asked.id}/approve`, {})
  const id = newSessionId()
  const session = {
    id,
    gateway: "gw",
    protocol: "ssh",
    subject: "alice@example.com",
    target: "prod-host",
    as: "root",
    grant: approved.grant?.id,
    client: "x:1",
    started_at: service.clock.now(),
  }
  const flagged = {
    event: "flagged",
    id,
    rule: "policy.actions[3]",
    count: 7,
    actions: ["reboot \u202e", "halt"],
    since: service.clock.now(),
  }
  const report = (gateway: string, reports: object[]): Promise<Reply> =>
    service.call("gateway", "POST /v1/gateway/sessions", { gateway, reports })
  await report("other", [flagged])
  await report("gw", [{ event: "started", session }, flagged])
  await report("other", [flagged])
  await eventually("the notification", () => hook.received.length > 0)
  const [{ event, text } = assert.fail(), ...more] = bodies(hook)
  assert.deepEqual([event, more.length], ["action.flagged", 0])
  assert.match(text, /^alice@example\.com did on prod-host what a rule flags\nWho: alice@example\.com/)
  assert.match(text, /\nAction: reboot .*\nAction: halt\nAnd: 5 more\n/)
  assert.ok(!text.includes("\u202e"))
  assert.match(text, /\nRule: policy\.actions\[3\]\n/)
  const { body } = await service.call("dana", "GET /v1/audit?kind=action.flagged")
  assert.deepEqual(
    (body as unknown as { events: { session: string; rule: string }[] }).events.map((one) => [one.session, one.rule]),
    [[id, "policy.actions[3]"]],
  )
})

test("notifications: only what a channel listens to is told to it, and nothing of the time before it was there", async (t) => {
  const hook = await receiver(t)
  const service = await startService(t)
  await service.ask()
  await service.restart({ notify: [webhook(hook, { on: ["request.denied"] })] })
  await eventually("the outbox to begin", async () => (await service.query("select 1 from outbox")).length > 0)
  await service.call("bob", "POST /v1/requests/1/deny", { reason: "not now" })
  await eventually("the denial", () => hook.received.length > 0)
  assert.deepEqual(
    bodies(hook).map(({ event }) => event),
    ["request.denied"],
  )
})

test("notifications: what was undone is not told", async (t) => {
  const hook = await receiver(t)
  const { store } = await outbox(t, [webhook(hook)])
  await assert.rejects(
    store.change(async (change) => {
      await note(change, { at: 1, kind: "request.asked", actor: { actor: "person", by: "mallory", from: null }, detail: {} })
      throw new Error("on purpose")
    }),
  )
  await happen(store)
  await eventually("the one that happened", () => hook.received.length > 0)
  assert.equal(hook.received.length, 1)
  assert(!hook.received[0]?.body.includes("mallory"))
})

test("notifications: a receiver that fails is tried again, later each time, with the same id, until it takes it", async (t) => {
  const hook = await receiver(t)
  const { store, clock, log } = await outbox(t, [webhook(hook)])
  hook.answer = (response) => void response.writeHead(500).end()
  await happen(store)
  const waits: number[] = []
  for (let attempt = 1; attempt <= 5; attempt++) {
    await eventually(`attempt ${attempt}`, () => log().split("it is tried again").length > attempt)
    const due = await eventually("its time", async () => (await store.nextDelivery(["hook"])) ?? 0)
    waits.push(due - clock.now())
    if (attempt === 5) hook.answer = (response) => void response.end()
    clock.advance(due - clock.now() - 1)
    assert.equal(hook.received.length, attempt, "not before its time")
    clock.advance(1)
  }
  await eventually("it to arrive", () => log().includes("was delivered"))
  assert.deepEqual(waits, [5_000, 10_000, 20_000, 40_000, 80_000])
  assert.equal(hook.received.length, 6)
  assert.equal(new Set(bodies(hook).map(({ id }) => id)).size, 1)
  assert.equal(await store.nextDelivery(["hook"]), undefined)
})

test("notifications: one that nobody takes for a day is given up, with an event and a line in the log", async (t) => {
  const hook = await receiver(t)
  const other = await receiver(t)
  const service = await startService(t, {
    notify: [webhook(hook), webhook(other, { name: "other", on: ["notification.failed", "request.asked"] })],
  })
  hook.answer = (response) => void response.writeHead(503).end()
  await service.ask()
  let attempts = 0
  await eventually("it to be given up", () => {
    if (said(service, "was given up") > 0) return true
    const failed = said(service, "it is tried again")
    service.clock.advance(failed > attempts ? limits.notification_retry_ms_max * 1.25 : limits.notification_sweep_ms)
    attempts = failed
    return false
  })
  const [event] = await service.query("select by_name, actor, reason, request, detail from events where kind = 'notification.failed'")
  assert.deepEqual(
    [event?.["by_name"], event?.["actor"], event?.["reason"], event?.["request"]],
    ["notify.hook", "policy", "answered 503", 1],
  )
  assert.deepEqual(await service.query("select id from deliveries"), [])
  // Hours pass here while it is on its way, so it may come twice.
  const told = new Set(bodies(other).map(({ event }) => event))
  assert.deepEqual([...told], ["request.asked"], "a failure is not told, or two channels could feed each other")
})

test("notifications: a receiver that says it is gone is not asked again", async (t) => {
  const hook = await receiver(t)
  const { store, log } = await outbox(t, [webhook(hook)])
  hook.answer = (response) => void response.writeHead(410).end()
  await happen(store)
  await eventually("it to be given up", () => log().includes("was given up"))
  assert.equal(await store.nextDelivery(["hook"]), undefined)
})

test("notifications: a receiver that asks for time gets it", async (t) => {
  const hook = await receiver(t)
  const { store, clock, log } = await outbox(t, [webhook(hook)])
  hook.answer = (response) => void response.writeHead(429, { "retry-after": "600" }).end()
  await happen(store)
  await eventually("the first attempt", () => log().includes("it is tried again"))
  await eventually("its time", async () => (await store.nextDelivery(["hook"])) === clock.now() + 600_000)
})

test("notifications: a redirect is not followed", async (t) => {
  const hook = await receiver(t)
  const elsewhere = await receiver(t)
  hook.answer = (response) => void response.writeHead(307, { location: `${elsewhere.url}/in` }).end()
  const { store, log } = await outbox(t, [webhook(hook)])
  await happen(store)
  await eventually("the answer to be judged", () => log().includes("answered 307"))
  assert.equal(elsewhere.received.length, 0)
})

test("notifications: an answer without end is not read to its end", async (t) => {
  const hook = await receiver(t)
  let sent = 0
  const { promise: closed, resolve } = Promise.withResolvers<void>()
  hook.answer = (response) => {
    response.once("close", resolve)
    const more = (): void => {
      while (!response.destroyed && response.write("x".repeat(64 * 1024))) sent += 64 * 1024
      if (!response.destroyed) response.once("drain", more)
    }
    more()
  }
  const { store, log } = await outbox(t, [webhook(hook)])
  await happen(store)
  await closed
  await eventually("it to count as delivered", () => log().includes("was delivered"))
  assert(sent < 64 * 1024 * 1024)
})

test("notifications: one that never answers is given a bounded time, and delays nobody else", async (t) => {
  const [slow, quick] = [await receiver(t), await receiver(t)]
  slow.answer = () => {}
  const { store, clock, log } = await outbox(t, [webhook(slow, { name: "slow" }), webhook(quick, { name: "quick" })])
  await happen(store, 20)
  await eventually("the quick one to have all", () => quick.received.length === 20)
  assert.equal(slow.received.length, limits.notification_sends_max)
  clock.advance(limits.notification_send_ms_max)
  await eventually("the slow one to be left", () => log().split("no answer in time").length > limits.notification_sends_max)
})

test("notifications: a receiver that is away for a while gets all that happened meanwhile", async (t) => {
  const away = await startReceiver()
  await away.stop()
  const { store, clock, log } = await outbox(t, [webhook(away)])
  await happen(store, 6)
  await eventually("all to have failed", () => log().split("it is tried again").length > 6)
  const back = await startReceiver(Number(new URL(away.url).port))
  t.after(() => back.stop())
  clock.advance(limits.notification_retry_ms_max)
  await eventually("all to arrive", () => back.received.length === 6)
})

test("notifications: a service that is restarted while it sends sends it again, under the same id", async (t) => {
  const hook = await receiver(t)
  hook.answer = () => {}
  const service = await startService(t, { notify: [webhook(hook, { on: ["request.asked"] })] })
  await service.ask()
  await eventually("the first attempt", () => hook.received.length === 1)
  hook.answer = (response) => void response.end()
  await service.restart()
  service.clock.advance(limits.notification_claim_ms)
  await eventually("the second attempt", () => said(service, "was delivered"))
  assert.equal(hook.received.length, 2)
  assert.equal(new Set(bodies(hook).map(({ id }) => id)).size, 1)
})

test("notifications: a service that is killed while it sends leaves it to the next", async (t) => {
  const hook = await receiver(t)
  hook.answer = () => {}
  const path = newPath()
  const at = (module: string): string => JSON.stringify(import.meta.resolve(`../../../../${module}`))
  const source = `
    import { Notifier } from ${at("src/approvals/notifications/notifier.ts")}
    import { openSqliteStore } from ${at("src/approvals/store/sqlite_store.ts")}
    import { note } from ${at("src/approvals/journal.ts")}
    import { systemClock } from ${at("src/core/clock.ts")}
    import { Secret } from ${at("src/core/secret.ts")}
    import { createLog } from ${at("src/observe/log.ts")}
    import { testConfig } from ${at("test/unit/approvals/service.ts")}
    const clock = systemClock()
    const store = await openSqliteStore(${JSON.stringify(path)}, clock)
    const hook = { name: "hook", on: ["request.*"], way: "webhook", url: new URL(${JSON.stringify(`${hook.url}/in`)}), secret: new Secret("${secret}") }
    const config = testConfig("/nowhere", { notify: [hook] })
    new Notifier({ store, clock, people: { list: async () => [] }, current: () => config, log: createLog("silent") })
    while ((await store.outboxThrough()) === undefined) await new Promise(setImmediate)
    await store.change((change) => note(change, { at: Date.now(), kind: "request.asked", actor: { actor: "person", by: "alice", from: null }, detail: {} }))
    setInterval(() => {}, 1_000)
  `
  const child = spawn(process.execPath, ["--input-type=module", "--eval", source], { stdio: ["ignore", "inherit", "inherit"] })
  t.after(() => child.kill("SIGKILL"))
  await eventually("the first attempt", () => hook.received.length === 1)
  child.kill("SIGKILL")
  hook.answer = (response) => void response.end()
  const { clock, log } = await outbox(t, [webhook(hook)], path, new FakeClock(Date.now()))
  clock.advance(limits.notification_claim_ms + hour / 60)
  await eventually("the second attempt", () => log().includes("was delivered"))
  assert.equal(hook.received.length, 2)
  assert.equal(new Set(bodies(hook).map(({ id }) => id)).size, 1)
})

test("notifications: two services on one store send each once", async (t) => {
  const hook = await receiver(t)
  const { store, options } = await outbox(t, [webhook(hook)])
  const second = new Notifier(options)
  t.after(() => second.close())
  for (let round = 0; round < 10; round++) await happen(store, 5)
  await eventually("all of them", () => hook.received.length >= 50)
  await eventually("nothing to wait any more", async () => (await store.nextDelivery(["hook"])) === undefined)
  assert.equal(hook.received.length, 50)
  assert.equal(new Set(bodies(hook).map(({ id }) => id)).size, 50)
})

test("notifications: what waits for one channel is bounded, and what is beyond it is said in the log", async (t) => {
  const hook = await receiver(t)
  hook.answer = (response) => void response.writeHead(500).end()
  const { store, log } = await outbox(t, [webhook(hook)])
  await store.change(async (change) => {
    for (let index = 0; index < limits.notification_waiting_max; index++)
      await change.addDelivery({
        id: `n_${index}`,
        channel: "hook",
        recipient: String(index),
        sequence: 1,
        next_at: 9e15,
        give_up_at: 9e15,
      })
  })
  await happen(store)
  await eventually("it to be said", () => log().includes("too many wait for this channel"))
  assert.equal(hook.received.length, 0)
})
