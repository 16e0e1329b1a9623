import assert from "node:assert/strict"
import type { Duplex } from "node:stream"
import { describe, test } from "node:test"
import { GatewayError } from "../../../src/core/errors.ts"
import type { Grant } from "../../../src/core/grant.ts"
import { mintIdentity } from "../../../src/core/identity.ts"
import { newGrantId, newSessionId, type RequestId } from "../../../src/core/ids.ts"
import { Secret } from "../../../src/core/secret.ts"
import type { Target } from "../../../src/core/target.ts"
import type { Opening } from "../../../src/gateway/contract.ts"
import type { Connecting } from "../../../src/gateway/dial.ts"
import { LeaseBook } from "../../../src/gateway/lease_book.ts"
import { LiveSession } from "../../../src/gateway/session.ts"
import { SessionRegister } from "../../../src/gateway/session_register.ts"
import { createLog } from "../../../src/observe/log.ts"
import { openRecorder } from "../../../src/record/disk_recorder.ts"
import { recording_version, type SessionHeader } from "../../../src/record/events.ts"
import { FakeClock } from "../../support/fake_clock.ts"
import { scratch } from "../../support/scratch.ts"
import { wire } from "../../support/wire.ts"

const hour = 3_600_000
const dir = scratch("session")
const log = createLog("silent")
const identity = mintIdentity({ subject: "alice", groups: [], via: "test", until: Infinity })
const target: Target = {
  name: "orders",
  labels: {},
  protocol: "postgres",
  address: { host: "127.0.0.1", port: 5432 },
  database: "orders",
  tls: "off",
  ca: undefined,
  roles: new Map([["readonly", { password: new Secret("x") }]]),
} as unknown as Target

function setUp(opening: Partial<Opening> = {}) {
  const clock = new FakeClock()
  const leases = new LeaseBook(clock)
  const register = new SessionRegister(clock, { gateway: "gateway", push: () => {} })
  const dialled: { socket: Duplex; up(): void }[] = []
  const connect = (): Connecting => {
    const { near } = wire()
    return { socket: near, connected: new Promise((resolve) => dialled.push({ socket: near, up: resolve })) }
  }
  /** Uses that were asked for, to be answered by the test. */
  const claims: ((answer: Grant) => void)[] = []
  const open = (grant: Grant, changes: Partial<Opening> = {}): LiveSession => {
    const id = newSessionId()
    const header: SessionHeader = {
      kind: "session",
      version: recording_version,
      id,
      gateway: "gateway",
      protocol: "postgres",
      subject: "alice",
      groups: [],
      via: "test",
      target: "orders",
      as: null,
      grant: grant.id,
      request: grant.request,
      grant_ends_at: grant.ends_at,
      client: "127.0.0.1:1",
    }
    const session = new LiveSession({
      id,
      opening: { identity, target: "orders", as: undefined, client: { destroy() {} }, farewell() {}, ...opening, ...changes },
      groups: [],
      target,
      grant,
      recorder: openRecorder({ dir, header, clock, mode: "cut", onFailure: () => session.cut("recorder_failed"), log }),
      leases,
      clock,
      log,
      connect,
      rules: () => ({ rules: [], reader: undefined }),
      service: { use: () => new Promise((resolve) => claims.push(resolve)), certify: () => Promise.reject(new Error("not asked for")) },
      holds: { hold: () => Promise.reject(new GatewayError("stale")) },
      approve: (request) => `ssh gateway approve ${request}`,
      ask: () => "",
      extend: () => "",
      onFlagged: () => {},
      onEnded: (ended, why) => register.remove(ended, why),
    })
    register.add(session, header, clock.now())
    return session
  }
  const grant: Grant = {
    id: newGrantId(),
    request: 1 as RequestId,
    subject: "alice",
    target: "orders",
    as: null,
    starts_at: clock.now(),
    ends_at: clock.now() + hour,
    status: "active",
    revision: 100,
    first_use_ms: null,
    actions: null,
    uses_left: null,
  }
  return { clock, leases, register, dialled, claims, open, grant }
}

const code = (expected: string) => (failure: unknown) => failure instanceof GatewayError && failure.code === expected
const select = { kind: "sql", text: "SELECT 1" } as unknown as Parameters<LiveSession["decide"]>[0]

const remove = { kind: "ssh.file", channel: 0, op: "remove", path: "/x" } as const

describe("a session's end", () => {
  test("a connection to the target that comes up after the cut is given to nobody", async () => {
    const held = Promise.withResolvers<void>()
    const { open, grant, dialled } = setUp({ cancel: () => held.promise })
    const session = open(grant)
    const dialling = session.dial()
    session.cut("revoked")
    dialled[0]!.up()
    await assert.rejects(dialling, code("revoked"))
    assert(dialled[0]!.socket.destroyed, "nobody has it, so nobody else would close it")
    held.resolve()
    await session.ended
  })

  test("after the cut only what cancels may dial", async () => {
    let cancelling: Promise<Duplex> | undefined
    const { open, grant, dialled } = setUp({ cancel: async (dial) => void (await (cancelling = dial())) })
    const session = open(grant)
    session.cut("revoked")
    await assert.rejects(session.dial(), code("revoked"))
    await assert.rejects(session.secure(wire().near, { verify: false, servername: "orders", ca: undefined }), code("revoked"))
    await new Promise(setImmediate)
    assert.equal(dialled.length, 1)
    dialled[0]!.up()
    assert(await cancelling)
    await session.ended
    assert(dialled[0]!.socket.destroyed)
  })

  test("an action after the grant's end is denied, though no timer has run since", async () => {
    const { open, grant, clock } = setUp()
    const session = open(grant)
    clock.jump(hour)
    const decision = session.decide(select)
    assert(decision.verdict === "deny" && decision.error.code === "expired")
    assert(session.signal.aborted)
    await session.ended
  })

  test("nor does a part of one that was allowed before, such as a file of a transfer, begin then", async () => {
    const { open, grant, clock } = setUp()
    const session = open(grant)
    assert.equal(session.decidePart(remove).verdict, "allow")
    clock.jump(hour)
    const decision = session.decidePart(remove)
    assert(decision.verdict === "deny" && decision.error.code === "expired")
    assert(session.signal.aborted)
    await session.ended
  })

  test("an action whose use was taken too late is denied: the grant had ended meanwhile, though no timer has run since", async () => {
    const { open, grant, clock, claims } = setUp()
    const session = open({ ...grant, uses_left: 2 })
    const decision = session.decide(select)
    assert(decision.verdict === "hold")
    clock.jump(hour)
    claims[0]?.({ ...grant, uses_left: 1, revision: grant.revision + 1 })
    const decided = await decision.decided
    assert(decided.verdict === "deny" && decided.error.code === "expired")
    await session.ended
  })

  test("when the last use is taken, what was asked for before may still be answered, and nothing begins after it", async () => {
    const last = Promise.withResolvers<void>()
    const { open, grant, claims, register } = setUp({ finished: () => last.promise })
    const session = open({ ...grant, uses_left: 2 })
    const [first, second] = [session.decide(select), session.decide(select)]
    assert(first.verdict === "hold" && second.verdict === "hold")
    // The feed may be faster than the answers.
    register.update({ ...grant, uses_left: 0, status: "spent", revision: grant.revision + 2 }, {})
    const third = session.decide(select)
    assert(third.verdict === "deny" && third.error.code === "spent")
    for (const claim of claims) claim(grant)
    assert.equal((await first.decided).verdict, "allow")
    assert.equal((await second.decided).verdict, "allow")
    assert(!session.signal.aborted, "both may finish")
    last.resolve()
    await session.ended
    assert.equal((session.signal.reason as GatewayError).code, "spent")
  })

  test("goodbyes, cancels and warnings that throw do not hold it up, nor anybody else's", async () => {
    const { open, grant, clock } = setUp()
    const fail = (): never => {
      throw new Error("a protocol's mistake")
    }
    const sessions = [open(grant, { farewell: fail, cancel: fail, warn: fail, client: { destroy: fail } }), open(grant)]
    clock.advance(hour)
    for (const session of sessions) assert(session.signal.aborted)
    await Promise.all(sessions.map((session) => session.ended))
  })

  test("a revocation in another history counts, though its revision is lower", async () => {
    const { open, grant, register } = setUp()
    const session = open(grant)
    register.otherHistory()
    register.update({ ...grant, status: "revoked", revision: 7 }, {})
    assert(session.signal.aborted)
    await session.ended
  })
})
