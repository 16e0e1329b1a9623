// What every protocol promises about grants that do not cover everything, or do not begin by themselves: certain actions, a number
// of uses, the first use. Part of the suite.
import assert from "node:assert/strict"
import { test } from "node:test"
import type { Grant } from "../../src/core/grant.ts"
import { limits } from "../../src/core/limits.ts"
import { eventually } from "../support/wait.ts"
import type { Driver, FakeTarget, Refused, Visit } from "./driver.ts"
import type { Harness } from "./harness.ts"

const hour = 3_600_000
const until = (condition: () => boolean): Promise<true> => eventually(String(condition), condition, 10_000)

interface Rig {
  readonly target: FakeTarget
  readonly harness: Harness
  enter(where?: string): Promise<{ visit: Visit | Refused }>
}

export function grantPromises(driver: Driver, setUp: () => Promise<Rig>): void {
  const entering = driver.entering === undefined ? [] : [driver.entering]
  const naming = (...actions: string[]): Partial<Grant> => ({ actions: [...entering, ...actions.map((action) => driver.named(action))] })
  const uses = (count: number): Partial<Grant> => ({ uses_left: count + entering.length })

  /** What a client sends is no action: its coming in is the one there is, and counted as one. */
  const hasActions = driver.carried === undefined
  const whereActions = (title: string, promise: () => Promise<void>): void => {
    if (hasActions) test(title, promise)
  }

  async function inside({ enter }: Rig): Promise<Visit> {
    const { visit } = await enter()
    assert(visit.in, `refused: ${visit.in ? "" : visit.words}`)
    return visit
  }

  /** Does what is refused; what the client was told. */
  async function refused(visit: Visit, action: string): Promise<string> {
    const answer = await visit.act(action).catch(() => "")
    return `${answer}\n${visit.words()}`
  }

  const denied = (harness: Harness): number =>
    harness.recording(harness.lastSession()).filter((line) => line.kind === "action" && line.verdict === "deny").length

  /** Time passes until the session is over; the fake clock moves less than any grant here lasts. */
  const spent = (harness: Harness): Promise<true> =>
    until(() => {
      harness.clock.advance(limits.ssh_leave_ms)
      return harness.reports.some((report) => report.event === "ended" && report.ended_why === "spent")
    })

  whereActions(
    "a grant for certain actions covers these; any other is refused, on record, unseen by the target, and the session goes on",
    async () => {
      const rig = await setUp()
      const { harness, target } = rig
      harness.grant("shop", naming("first", "second"))
      const visit = await inside(rig)
      assert.match(await visit.act("first"), /first/)
      assert.match(await refused(visit, "third"), /your grant does not cover this action/)
      assert.match(await refused(visit, "firs"), /your grant does not cover this action/)
      assert.match(await visit.act("second"), /second/)
      assert.deepEqual(target.actions, ["first", "second"])
      assert.equal(denied(harness), 2)
      assert.equal(harness.service.used, 0, "what is not counted is not asked about")
    },
  )

  whereActions(
    "each use is taken before the target sees the action; after the last one it is over, and that one's answer is whole",
    async () => {
      const rig = await setUp()
      const { harness, target } = rig
      harness.grant("shop", uses(2))
      const visit = await inside(rig)
      target.onAction = () => assert.equal(harness.service.used, entering.length + target.actions.length)
      assert.match(await visit.act("first"), /first/)
      assert.match(await visit.act("second"), /second/)
      await spent(harness)
      await visit.closed
      const again = await rig.enter()
      assert(!again.visit.in)
      assert.deepEqual(target.actions, ["first", "second"])
    },
  )

  test("the last use may take its time, and nothing else begins meanwhile; the grant's end is its end too", async () => {
    const rig = await setUp()
    const { harness, target } = rig
    harness.grant("shop", uses(1))
    const visit = await inside(rig)
    await visit.begin("endless")
    await until(() => target.actions.includes("endless"))
    target.say("still here")
    await until(() => visit.received().includes("still here"))
    const again = await rig.enter()
    assert(!again.visit.in)
    harness.clock.advance(hour)
    await visit.closed
    assert.deepEqual(target.actions, ["endless"])
    await until(() => harness.reports.some((report) => report.event === "ended" && report.ended_why === "expired"))
  })

  test("what the last use is doing is cut like anything else when the grant is revoked", async () => {
    const rig = await setUp()
    const { harness, target } = rig
    const grant = harness.grant("shop", uses(1))
    const visit = await inside(rig)
    await visit.begin("endless")
    await until(() => target.actions.includes("endless"))
    harness.change(grant, { status: "revoked", uses_left: 0 })
    await visit.closed
    await until(() => target.open === 0)
    await until(() => harness.reports.some((report) => report.event === "ended" && report.ended_why === "revoked"))
  })

  whereActions("a use that cannot be taken is refused and the target never sees it; the session goes on", async () => {
    const rig = await setUp()
    const { harness, target } = rig
    harness.grant("shop", uses(2))
    const visit = await inside(rig)
    harness.service.away = true
    assert.match(await refused(visit, "first"), /cannot be checked right now/)
    harness.service.away = false
    assert.match(await visit.act("second"), /second/)
    assert.deepEqual(target.actions, ["second"])
  })

  whereActions("a cut while a use is being taken ends the session, and the action does not happen", async () => {
    const rig = await setUp()
    const { harness, target } = rig
    const grant = harness.grant("shop", uses(2))
    const visit = await inside(rig)
    harness.service.onUse = () => void harness.change(grant, { status: "revoked" })
    void visit.act("first").catch(() => {})
    await visit.closed
    await until(() => harness.recording(harness.lastSession()).at(-1)?.kind === "end")
    assert.deepEqual(target.actions, [])
    assert.match(visit.words(), /revoked\)/)
  })

  if (!hasActions)
    test("where coming in is the action, each time is a use, taken before the target is dialled", async () => {
      const rig = await setUp()
      const { harness } = rig
      harness.grant("shop", { uses_left: 2 })
      harness.service.away = true
      const away = await rig.enter()
      assert(!away.visit.in)
      assert.match(away.visit.words, /cannot be checked right now/)
      harness.service.away = false
      harness.service.onUse = () => assert.equal(harness.dialled.length, harness.service.used - 1)
      const [first, second] = [await inside(rig), await inside(rig)]
      assert.match(await first.act("one"), /one/)
      assert.match(await second.act("two"), /two/)
      const third = await rig.enter()
      assert(!third.visit.in)
      assert.equal(harness.dialled.length, 2)
    })

  test("a grant that waits for its first use begins with it, once, and its end is counted from there", async () => {
    const rig = await setUp()
    const { harness } = rig
    harness.grant("shop", { first_use_ms: hour, ends_at: harness.clock.now() + 8 * hour })
    harness.clock.advance(5 * hour)
    const visit = await inside(rig)
    const began_at = harness.clock.now()
    harness.clock.advance(hour / 2)
    const second = await inside(rig)
    assert.equal(harness.service.begun, 1)
    harness.clock.advance(hour / 2)
    await Promise.all([visit.closed, second.closed])
    assert.equal(harness.clock.now(), began_at + hour)
    const again = await rig.enter()
    assert(!again.visit.in)
  })

  test("not used by its deadline it is over, and a gateway that cannot begin it opens nothing", async () => {
    const rig = await setUp()
    const { harness } = rig
    harness.grant("shop", { first_use_ms: hour, ends_at: harness.clock.now() + 8 * hour })
    harness.service.away = true
    const { visit } = await rig.enter()
    assert(!visit.in)
    assert.match(visit.words, /cannot be checked right now/)
    assert.equal(harness.dialled.length, 0)
    harness.service.away = false
    harness.clock.advance(8 * hour)
    const late = await rig.enter()
    assert(!late.visit.in)
    assert.match(late.visit.words, /you have no access/)
  })
}
