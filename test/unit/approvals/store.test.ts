// The embedded store: what was answered is kept, whatever happens to the process.
import assert from "node:assert/strict"
import { spawn } from "node:child_process"
import { once } from "node:events"
import { createInterface } from "node:readline"
import { statSync, writeFileSync } from "node:fs"
import { DatabaseSync } from "node:sqlite"
import test from "node:test"
import type { Millis } from "../../../src/core/clock.ts"
import type { RequestId } from "../../../src/core/ids.ts"
import { openSqliteStore } from "../../../src/approvals/store/sqlite_store.ts"
import { schema_version } from "../../../src/approvals/store/migrations.ts"
import type { NewRequestRecord } from "../../../src/approvals/store.ts"
import { note } from "../../../src/approvals/journal.ts"
import { FakeClock } from "../../support/fake_clock.ts"
import { openNewStore, query } from "../../support/store.ts"
import { scratch } from "../../support/scratch.ts"
import { hour, startService } from "./service.ts"

const clock = new FakeClock()
const newPath = (): string => `${scratch("store")}/store.db`
const record = (change: Partial<NewRequestRecord> = {}): NewRequestRecord => ({
  subject: "alice",
  groups: ["engineers"],
  target: "prod-host",
  as: null,
  duration_ms: hour,
  starts_at: null,
  hold: null,
  reason: "why",
  created_at: clock.now(),
  lapses_at: clock.now() + hour,
  state: "pending",
  rule: "policy.access[0]",
  approve_by: ["oncall"],
  approvals_needed: 1,
  plan: { order: "any", steps: [{ by: ["oncall"], count: 1 }] },
  escalation: null,
  review: null,
  actions: null,
  uses: null,
  first_use_within_ms: null,
  extends_grant: null,
  extends_to: null,
  ...change,
})
const event = (at: Millis) =>
  ({ at, kind: "request.asked", actor: { actor: "person", by: "alice", from: "127.0.0.1:1" }, detail: {} }) as const

test("store: requests, decisions, grants, sessions and the log survive a restart", async (t) => {
  const service = await startService(t)
  await service.ask()
  const { body: approved } = await service.call("bob", "POST /v1/requests/1/approve", { reason: "go" })
  const session = {
    id: "s_0123456789abcdef",
    gateway: "gw",
    protocol: "ssh",
    subject: "alice@example.com",
    target: "prod-host",
    as: null,
    grant: approved.grant?.id,
    client: "203.0.113.7:1",
    started_at: service.clock.now(),
  }
  await service.call("gateway", "POST /v1/gateway/sessions", { gateway: "gw", reports: [{ event: "started", session }] })
  const read = async () => Promise.all(["/v1/requests", "/v1/grants", "/v1/sessions"].map((path) => service.call("alice", `GET ${path}`)))
  const before = await read()
  await service.restart()
  assert.deepEqual(await read(), before)
  const next = await service.ask({ as: ["root"] })
  assert.equal(next.body.id, 2)
})

test("store: the audit log says who, when, from where, why and by which rule, without gaps", async (t) => {
  const service = await startService(t)
  await service.ask()
  await service.call("bob", "POST /v1/requests/1/approve", { reason: "go" })
  await service.ask({ target: "grafana" })
  const rows = await service.query(
    "select sequence, kind, actor, by_name, from_address, reason, rule, request from events order by sequence",
  )
  assert.deepEqual(
    rows.map((row) => [row["sequence"], row["kind"], row["actor"], row["by_name"], row["reason"], row["rule"], row["request"]]),
    [
      [1, "request.asked", "person", "alice@example.com", "INC-7: pods crash", "policy.access[1]", 1],
      [2, "request.decision", "person", "bob@example.com", "go", "policy.access[1]", 1],
      [3, "request.approved", "person", "bob@example.com", "go", "policy.access[1]", 1],
      [4, "grant.made", "person", "bob@example.com", "", "policy.access[1]", 1],
      [5, "request.asked", "person", "alice@example.com", "INC-7: pods crash", "policy.access[4]", 2],
      [6, "request.approved", "policy", "policy.access[4]", "", "policy.access[4]", 2],
      [7, "grant.made", "policy", "policy.access[4]", "", "policy.access[4]", 2],
    ],
  )
  assert.deepEqual(
    rows.map((row) => row["from_address"] !== null),
    [true, true, true, true, true, false, false],
  )
})

test("store: a change that fails leaves nothing behind, and the next one is not held up", async (t) => {
  const { store } = await openNewStore(clock)
  t.after(() => store.close())
  const told: number[] = []
  store.onCommit((events) => told.push(...events.map(({ sequence }) => sequence)))
  const failing = store.change(async (change) => {
    await change.addRequest(record())
    await note(change, event(clock.now()))
    throw new Error("on purpose")
  })
  const following = store.change(async (change) => {
    await note(change, event(clock.now()))
    return change.addRequest(record({ target: "other" }))
  })
  await assert.rejects(failing, /on purpose/)
  assert.equal(await following, 1)
  assert.deepEqual([told, await store.sequence()], [[1], 1])
  assert.equal((await store.request(await following))?.target, "other")
})

test("store: inside a change the log reads as it goes on, and each event takes the next number", async (t) => {
  const { store, config } = await openNewStore(clock)
  t.after(() => store.close())
  await store.change((change) => note(change, event(1)))
  const numbers = await store.change(async (change) => {
    const second = await note(change, event(2))
    assert.deepEqual(
      (await change.events(0, 10)).map(({ at }) => at),
      [1, 2],
    )
    await note(change, event(3))
    return [second, await change.nextSequence(), (await change.events(2, 10)).length]
  })
  assert.deepEqual(numbers, [2, 4, 1])
  const rows = await query(config, "select sequence, at from events order by sequence")
  assert.deepEqual(
    rows.map(({ sequence, at }) => [sequence, at]),
    [
      [1, 1],
      [2, 2],
      [3, 3],
    ],
  )
  // One that would leave a gap, or tell another's number again, is our own mistake, and nothing of its change is kept.
  const wrong = { ...(await store.auditLog({ limit: 1 }))[0]!, sequence: 6 }
  await assert.rejects(
    store.change(async (change) => {
      await note(change, event(4))
      await change.append(wrong)
    }),
    /no gap/,
  )
  assert.equal(await store.sequence(), 3)
})

test("store: a change with more events than one statement takes is whole", async (t) => {
  const { store } = await openNewStore(clock)
  t.after(() => store.close())
  const told: number[] = []
  store.onCommit((events) => told.push(...events.map(({ sequence }) => sequence)))
  await store.change(async (change) => {
    for (let count = 0; count < 1_234; count++) await note(change, event(count))
  })
  assert.equal(await store.sequence(), 1_234)
  assert.deepEqual([told.length, told.at(-1), (await store.auditLog({ limit: 2_000 })).length], [1_234, 1_234, 1_234])
})

test("store: a reader does not see the half of a change", async (t) => {
  const { store } = await openNewStore(clock)
  t.after(() => store.close())
  await store.change(async (change) => {
    const id = await change.addRequest(record())
    assert.equal(await store.request(id), undefined)
    assert.equal((await change.request(id))?.id, id)
  })
})

test("store: a write that is refused fails its change, whatever the change does after it, and the next change goes on", async (t) => {
  const { store, config } = await openNewStore(clock)
  t.after(() => store.close())
  const decision = { by: "bob", actor: "person", verdict: "approve", reason: "", at: 1, steps: [0] } as const
  const change = store.change(async (change) => {
    const id = await change.addRequest(record())
    await change.addDecision(id, decision)
    await change.addDecision(id, decision)
    await change.setRequestState(id, "approved")
    await change.request(id)
    await note(change, event(clock.now()))
  })
  await assert.rejects(change, /UNIQUE|duplicate key/)
  assert.deepEqual(await query(config, "select id from requests"), [])
  assert.equal(await store.change((change) => note(change, event(clock.now()))), 1)
})

test("store: inside a change, what is read after a write sees it", async (t) => {
  const { store } = await openNewStore(clock)
  t.after(() => store.close())
  await store.change(async (change) => {
    const id = await change.addRequest(record())
    await change.addDecision(id, { by: "bob", actor: "person", verdict: "approve", reason: "", at: 1, steps: [0] })
    await change.setRequestState(id, "approved")
    const [request, pending] = await Promise.all([change.request(id), change.pendingCount("alice", clock.now())])
    assert.deepEqual([request?.state, request?.decisions.map(({ by }) => by), pending], ["approved", ["bob"], 0])
  })
})

test("store: a list has what somebody may decide about as it changes, and each once though two of their names may", async (t) => {
  const { store, config } = await openNewStore(clock)
  t.after(() => store.close())
  const both = { approve_by: ["oncall", "bob"] }
  const ids = await store.change(async (change) => {
    const made: RequestId[] = []
    for (const one of [both, both, { approve_by: ["dana"] }, { subject: "bob", approve_by: [] }])
      made.push(await change.addRequest(record(one)))
    return made
  })
  const [first, second, third, own] = ids as [RequestId, RequestId, RequestId, RequestId]
  const seen = { subject: "bob", names: ["bob", "oncall"] }
  const listed = async (live_at?: Millis) => (await store.requests({ seen, live_at, limit: 10 })).map(({ id }) => id)
  assert.deepEqual(
    [await listed(), await listed(clock.now())],
    [
      [own, second, first],
      [own, second, first],
    ],
  )
  await store.change(async (change) => {
    await change.setRequestState(first, "denied")
    await change.escalateRequest(third, ["dana", "oncall"])
  })
  assert.deepEqual(
    [await listed(), await listed(clock.now())],
    [
      [own, third, second, first],
      [own, third, second],
    ],
  )
  await store.change(async (change) => {
    await change.lapseRequest(second, clock.now())
    await change.markTold(own, "lapsed")
  })
  assert.deepEqual([await listed(), await listed(clock.now())], [[own, third, second, first], [third]])
  const waiting = await query(config, "select name, request from deciders where waits = 1 order by name, request")
  assert.deepEqual(
    waiting.map(({ name, request }) => [name, request]),
    [
      ["dana", third],
      ["oncall", third],
    ],
  )
})

test("store: two grants of one request, and a rewritten audit log, are refused by the store itself", async (t) => {
  const { store, config } = await openNewStore(clock)
  t.after(() => store.close())
  const grant = (id: string, request: number) =>
    ({
      id,
      request,
      subject: "alice",
      target: "prod-host",
      as: null,
      starts_at: 1,
      ends_at: 2,
      status: "active",
      revision: 1,
      first_use_ms: null,
      actions: null,
      uses_max: null,
      uses_left: null,
      ended_by: null,
      ended_reason: null,
      ended_at: null,
    }) as never
  await store.change(async (change) => {
    await change.addRequest(record())
    await change.addGrant(grant("g_0000000000000000", 1))
    await note(change, event(clock.now()))
  })
  await assert.rejects(
    store.change((change) => change.addGrant(grant("g_0000000000000001", 1))),
    /UNIQUE|duplicate key/,
  )
  await assert.rejects(
    store.change((change) => change.addGrant(grant("g_0000000000000002", 99))),
    /FOREIGN KEY/i,
  )
  await assert.rejects(query(config, "update events set by_name = 'mallory' where sequence = 1"), /not rewritten/)
})

test("store: what was answered is there after SIGKILL", async (t) => {
  const path = newPath()
  const source = `
    import { openSqliteStore } from ${JSON.stringify(import.meta.resolve("../../../src/approvals/store/sqlite_store.ts"))}
    import { systemClock } from ${JSON.stringify(import.meta.resolve("../../../src/core/clock.ts"))}
    const store = await openSqliteStore(${JSON.stringify(path)}, systemClock())
    for (;;) console.log(await store.change((change) => change.addRequest(${JSON.stringify(record())})))
  `
  const child = spawn(process.execPath, ["--input-type=module", "--eval", source], { stdio: ["ignore", "pipe", "inherit"] })
  t.after(() => child.kill("SIGKILL"))
  let answered = 0
  for await (const line of createInterface(child.stdout)) {
    answered = Number(line)
    if (answered >= 20) child.kill("SIGKILL")
  }
  if (child.exitCode === null && child.signalCode === null) await once(child, "exit")
  const store = await openSqliteStore(path, clock)
  t.after(() => store.close())
  assert(answered >= 20)
  assert((await store.request(answered as never)) !== undefined)
})

test("store: durable by its own settings, of a known version, and for its owner's eyes", async (t) => {
  const path = newPath()
  const store = await openSqliteStore(path, clock)
  t.after(() => store.close())
  await store.change((change) => change.addRequest(record()))
  const db = new DatabaseSync(path, { readOnly: true })
  t.after(() => db.close())
  assert.equal(db.prepare("pragma journal_mode").get()?.["journal_mode"], "wal")
  assert.equal(db.prepare("pragma user_version").get()?.["user_version"], schema_version)
  assert.equal(statSync(path).mode & 0o077, 0)
})

test("store: a file of a newer version, and one that is no store, are refused with words and left as they are", async (t) => {
  const newer = newPath()
  const db = new DatabaseSync(newer)
  db.exec(`pragma user_version = ${schema_version + 1}`)
  db.close()
  await assert.rejects(openSqliteStore(newer, clock), /newer sluice/)
  const reopened = new DatabaseSync(newer)
  t.after(() => reopened.close())
  assert.equal(reopened.prepare("pragma user_version").get()?.["user_version"], schema_version + 1)
  const text = newPath()
  writeFileSync(text, "this is a letter, and no database at all; ".repeat(100))
  await assert.rejects(openSqliteStore(text, clock), /not a database/)
})

test("store: every question that is asked often finds its answer by an index", async (t) => {
  const path = newPath()
  const store = await openSqliteStore(path, clock)
  await store.close()
  const db = new DatabaseSync(path, { readOnly: true })
  t.after(() => db.close())
  for (const sql of [
    "select * from grants where subject = ? and target = ? and status = 'active' and ends_at > ? order by ends_at desc limit 1000",
    "select count(*) from grants where subject = ? and status = 'active' and ends_at > ?",
    "select * from grants where request = ?",
    "select * from decisions where request = ?",
    "select id from requests where subject = ? and target = ? and accounts is ? order by id desc limit 1",
    "select count(*) from requests where subject = ? and state = 'pending' and lapses_at > ?",
    "select id from requests where subject = ? and id < ? order by id desc limit 100",
    "select id from requests where state = 'pending' and lapse_told = 0 and lapses_at > ? and id < ? order by id desc limit 100",
    "select request from deciders where name = ? and request < ? order by request desc limit 100",
    "select request from deciders where name = ? and waits = 1 and request < ? order by request desc limit 100",
    "select request from grants where subject = ? and request < ? order by request desc limit 100",
    "select * from events where by_name = ? and sequence < ? order by sequence desc limit 100",
    "select * from events where kind || '' = ? and sequence < ? order by sequence desc limit 100",
    "select id from sessions where gateway = ? and ended_at is null",
    "select * from events where kind in ('grant.made', 'grant.revoked', 'grant.dropped', 'session.killed') and sequence > ? order by sequence limit 1",
  ]) {
    const plan = db
      .prepare(`explain query plan ${sql}`)
      .all()
      .map((row) => String(row["detail"]))
    assert(
      plan.some((step) => step.startsWith("SEARCH")),
      `${sql}: ${plan.join("; ")}`,
    )
    assert(!plan.some((step) => step.startsWith("SCAN") || step.includes("TEMP B-TREE")), `${sql}: ${plan.join("; ")}`)
  }
})
