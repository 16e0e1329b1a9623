// The promises that every protocol keeps, in the words of the contract. A protocol passes with one driver and no exceptions.
import assert from "node:assert/strict"
import { once } from "node:events"
import { afterEach, describe, test } from "node:test"
import type { CutCode } from "../../src/core/errors.ts"
import { limits } from "../../src/core/limits.ts"
import { eventually } from "../support/wait.ts"
import { FakeTarget, type Driver, type Refused, type Visit } from "./driver.ts"
import { grantPromises } from "./grants.ts"
import { createHarness, type Harness } from "./harness.ts"
import { holdPromises } from "./holds.ts"

const hour = 3_600_000
const until = (condition: () => boolean): Promise<true> => eventually(String(condition), condition, 10_000)

async function inside(enter: () => Promise<{ visit: Visit | Refused }>): Promise<Visit> {
  const { visit } = await enter()
  assert(visit.in, `refused: ${visit.in ? "" : visit.words}`)
  return visit
}

export function conformance(driver: Driver): void {
  const name = (driver.carried ?? driver.protocol).name
  /** Beside coming in, which is one. */
  const hasActions = driver.carried === undefined
  const whereActions = (title: string, promise: () => Promise<void>): void => {
    if (hasActions) test(title, promise)
  }

  const open: Harness[] = []
  afterEach(() => open.splice(0).forEach((harness) => harness.close()))

  async function setUp() {
    const target = new FakeTarget()
    const harness = await createHarness({
      protocol: driver.protocol,
      carried: driver.carried,
      targets: [driver.target("shop"), driver.target("vault")],
      serveTarget(socket) {
        target.open++
        socket.once("close", () => target.open--)
        driver.serveTarget(socket, target)
      },
    })
    open.push(harness)
    const enter = async (where = "shop") => {
      const { client, served } = harness.connect()
      return { client, served, visit: await driver.enter(harness, client, where) }
    }
    return { target, harness, enter }
  }

  /** Starts what the target does not finish, and waits until the target has it. */
  async function begin(visit: Visit, target: FakeTarget): Promise<void> {
    await visit.begin("endless")
    await until(() => target.actions.includes("endless"))
  }

  /** Every way a live session can be cut, and the code that the words must come from. */
  const cuts: Record<
    Exclude<CutCode, "recorder_failed" | "idle" | "spent">,
    (harness: Harness, grant: ReturnType<Harness["grant"]>) => void
  > = {
    expired: (harness) => harness.clock.advance(hour),
    revoked: (harness, grant) => void harness.change(grant, { status: "revoked" }),
    dropped: (harness, grant) => void harness.change(grant, { status: "dropped" }),
    killed: (harness) => harness.sessions.kill(harness.lastSession(), { by: "bob@example.com" }),
    shutdown: (harness) => void harness.sessions.cutAll(),
  }
  const wordsOf: Record<keyof typeof cuts, RegExp> = {
    expired: /your access to shop ended at \d\d:\d\d:\d\d UTC \(grant g_\w+, expired\)/,
    revoked: /your access to shop ended at .* revoked\)/,
    dropped: /your access to shop ended at .* dropped\)/,
    killed: /ended by a colleague/,
    shutdown: /shutting down/,
  }

  describe(`${name}: the contract`, () => {
    test("without a grant nobody gets in, is told the line that asks, and the target is never dialled", async () => {
      const { harness, enter } = await setUp()
      const { visit } = await enter()
      assert(!visit.in)
      assert.match(visit.words, /ssh gateway request shop/)
      assert.equal(harness.dialled.length, 0)
    })

    test("an unknown target and a forbidden one get the same answer", async () => {
      const { enter } = await setUp()
      const answers = await Promise.all(
        ["vault", "ghost"].map(async (where) => {
          const { visit } = await enter(where)
          assert(!visit.in)
          return visit.words.replaceAll(where, "…")
        }),
      )
      assert.equal(answers[0], answers[1])
    })

    test("a grant for one target opens no other", async () => {
      const { harness, enter } = await setUp()
      harness.grant("shop")
      const { visit } = await enter("vault")
      assert.equal(visit.in, false)
      assert.equal(harness.dialled.length, 0)
    })

    test("a grant that has ended, or has not begun, opens nothing", async () => {
      const { harness, enter } = await setUp()
      harness.grant("shop", { ends_at: harness.clock.now() })
      harness.grant("shop", { starts_at: harness.clock.now() + limits.start_clock_skew_ms_max + 1 })
      const { visit } = await enter()
      assert.equal(visit.in, false)
    })

    test("an action is on record before the target sees it", async () => {
      const { target, harness, enter } = await setUp()
      harness.grant("shop")
      let recorded: string | undefined
      target.onAction = () => (recorded = JSON.stringify(harness.recording(harness.lastSession())))
      const visit = await inside(enter)
      assert.match(await visit.act("first"), /first/)
      assert.deepEqual(target.actions, ["first"])
      assert.match(recorded ?? "", hasActions ? /first/ : /"kind":"action"/)
    })

    test("the outcome follows the action, and the recording ends with the session", async () => {
      const { harness, enter } = await setUp()
      harness.grant("shop")
      const visit = await inside(enter)
      await visit.act("first")
      const id = harness.lastSession()
      harness.sessions.kill(id, {})
      await until(() => harness.recording(id).at(-1)?.kind === "end")
      const lines = harness.recording(id)
      assert.deepEqual(
        lines.map((line) => line.n),
        lines.map((_, index) => index),
      )
      const action = lines.find((line) => line.kind === "action")
      const outcome = lines.find((line) => line.kind === "outcome")
      assert(action && outcome?.kind === "outcome")
      assert.equal(outcome.action, action.n)
      assert.equal(outcome.status, hasActions ? "ok" : "cut")
    })

    for (const [code, cut] of Object.entries(cuts) as [keyof typeof cuts, (typeof cuts)[keyof typeof cuts]][]) {
      test(`${code}: the client is told so and closed, what runs is cancelled, the target's side is gone`, async () => {
        const { target, harness, enter } = await setUp()
        const grant = harness.grant("shop")
        const visit = await inside(enter)
        await begin(visit, target)
        cut(harness, grant)
        await visit.closed
        await until(() => target.open === 0)
        assert.match(visit.words(), wordsOf[code])
        const id = harness.lastSession()
        await until(() => harness.recording(id).at(-1)?.kind === "end")
        const lines = harness.recording(id)
        assert(lines.some((line) => line.kind === "cut" && line.code === code))
        await until(() => harness.reports.some((report) => report.event === "ended" && report.ended_why === code))
      })
    }

    test("what runs on the target is asked to stop at the cut", async () => {
      const { target, harness, enter } = await setUp()
      const grant = harness.grant("shop")
      const visit = await inside(enter)
      await begin(visit, target)
      harness.change(grant, { status: "revoked" })
      await visit.closed
      await until(() => target.open === 0 && target.cancelled > 0)
    })

    test("not a byte passes after the cut, in either direction", async () => {
      const { target, harness, enter } = await setUp()
      const grant = harness.grant("shop")
      const visit = await inside(enter)
      await begin(visit, target)
      target.say("before")
      await until(() => visit.received().includes("before"))
      const bytes = target.bytes
      harness.change(grant, { status: "revoked" })
      // In the same turn as the cut: nothing has had time to be torn down yet.
      target.say("AFTER")
      visit.sendMore()
      await visit.closed
      await until(() => target.open === 0)
      assert(!visit.received().includes("AFTER"))
      assert.equal(target.bytes, bytes)
    })

    test("opened at the last second, it ends when the grant does", async () => {
      const { target, harness, enter } = await setUp()
      harness.grant("shop")
      harness.clock.advance(hour - 1_000)
      const visit = await inside(enter)
      await begin(visit, target)
      harness.clock.advance(1_000)
      await visit.closed
      assert.match(visit.words(), wordsOf.expired)
    })

    test("extended while it runs, it goes on past the old end and ends at the new one", async () => {
      const { target, harness, enter } = await setUp()
      const grant = harness.grant("shop")
      const visit = await inside(enter)
      await begin(visit, target)
      harness.change(grant, { ends_at: grant.ends_at + hour })
      harness.clock.advance(hour)
      target.say("still here")
      await until(() => visit.received().includes("still here"))
      harness.clock.advance(hour)
      await visit.closed
      await until(() => harness.recording(harness.lastSession()).some((line) => line.kind === "cut" && line.code === "expired"))
    })

    test("a clock that jumps past the end cuts within a tick", async () => {
      const { target, harness, enter } = await setUp()
      harness.grant("shop")
      const visit = await inside(enter)
      await begin(visit, target)
      harness.clock.jump(10 * hour)
      harness.clock.advance(limits.tick_ms_max)
      await visit.closed
    })

    test("when the approval service has not been heard, nothing new opens and what is live goes on", async () => {
      const { harness, enter } = await setUp()
      harness.grant("shop")
      harness.grant("vault")
      const visit = await inside(enter)
      harness.feed.fresh = false
      const { visit: second } = await enter("vault")
      assert(!second.in)
      assert.match(second.words, /cannot be checked right now/)
      assert.match(await visit.act("goes on"), /goes on/)
    })

    whereActions("a recording that cannot be written cuts the session, and the action does not happen", async () => {
      const { target, harness, enter } = await setUp()
      harness.grant("shop")
      const visit = await inside(enter)
      await visit.act("first")
      harness.breakRecordings()
      void visit.act("unrecorded").catch(() => {})
      await visit.closed
      assert.deepEqual(target.actions, ["first"])
      assert.match(visit.words(), /can no longer be recorded/)
    })

    test("a client that vanishes takes its session and the target's side with it", async () => {
      const { target, harness, enter } = await setUp()
      harness.grant("shop")
      const visit = await inside(enter)
      await begin(visit, target)
      const id = harness.lastSession()
      visit.vanish()
      await until(() => target.open === 0)
      harness.clock.advance(limits.http_session_idle_ms) // an HTTP session outlives its connections by this much
      await until(() => harness.recording(id).at(-1)?.kind === "end")
      await until(() => harness.sessions.size === 0)
    })

    test("garbage closes that connection and nothing else", async () => {
      const { harness, enter } = await setUp()
      harness.grant("shop")
      const visit = await inside(enter)
      const { client, served } = harness.connect()
      client.resume()
      client.write(driver.garbage)
      client.end()
      await Promise.allSettled([served, client.closed ? undefined : once(client, "close")])
      assert.match(await visit.act("unmoved"), /unmoved/)
    })

    if (driver.warns) {
      test("five minutes and one minute before the end, the person is told; and again before a later one", async () => {
        const { harness, enter } = await setUp()
        const grant = harness.grant("shop")
        const visit = await inside(enter)
        harness.clock.advance(hour - 5 * 60_000)
        await until(() => visit.words().includes("ends in 5m"))
        assert.match(visit.words(), /Extend: ssh gateway extend g_\w{16}/)
        harness.clock.advance(4 * 60_000)
        await until(() => visit.words().includes("ends in 1m"))
        harness.change(grant, { ends_at: grant.ends_at + hour })
        harness.clock.advance(hour - 4 * 60_000)
        await until(() => visit.words().split("ends in 5m").length === 3) // again, before the new end
      })
    }

    grantPromises(driver, setUp)
    if (hasActions) holdPromises(driver, setUp)
  })
}
