// Held actions through a gateway's own parts and a real approval service, in many orders that can happen: asked for, approved by
// one and by two, denied, taken back, left and asked for again, cut, lapsed, revoked, heard of late or never, the gateway killed and
// started again, the service as well, and strangers who try to use what they did not ask for. Whatever the order: nothing runs twice,
// unapproved, after its grant, or with other bytes.
import assert from "node:assert/strict"
import { test, type TestContext } from "node:test"
import type { ApiClient } from "../../../src/api/client.ts"
import type { HoldStanding } from "../../../src/api/hold_schema.ts"
import type { RequestView } from "../../../src/api/schema.ts"
import type { Action } from "../../../src/core/action.ts"
import type { ActionRule } from "../../../src/core/action_rules.ts"
import { type ErrorCode, GatewayError } from "../../../src/core/errors.ts"
import type { Grant } from "../../../src/core/grant.ts"
import { newSessionId, type RequestId, type SessionId } from "../../../src/core/ids.ts"
import type { Decided, Waiting } from "../../../src/gateway/contract.ts"
import { Decisions } from "../../../src/gateway/actions/decisions.ts"
import { HoldBook } from "../../../src/gateway/actions/hold_book.ts"
import { shownAction } from "../../../src/gateway/actions/shown_action.ts"
import type { Event } from "../../../src/record/events.ts"
import { Random } from "../../support/random.ts"
import { hour, type Service, startService } from "../approvals/service.ts"
import { actionRule } from "../../support/action_rule.ts"

const within_ms = hour / 4

const ruleOf = (count: number, change: Partial<ActionRule> = {}): ActionRule =>
  actionRule({ digest: `the rule, ${count}`, approve: { by: ["oncall"], count }, within_ms, ...change })

/** A command's approval is for the session that waits; a request's for the person who asks again. */
type Protocol = "ssh" | "http"

interface Wanted {
  readonly action: Action
  readonly waiting: Waiting
  decided: Decided | undefined
}

/** One session of one run of the gateway. */
interface Visit {
  readonly id: SessionId
  readonly events: Event[]
  readonly controller: AbortController
  readonly decisions: Decisions
  readonly wanted: Wanted[]
}

/** A gateway that can be killed: from then on nothing it says is heard. */
class FakeGateway {
  readonly visits: Visit[] = []
  readonly book: HoldBook
  readonly calls = new Set<Promise<unknown>>()
  dead = false
  readonly #service: Service
  readonly #grant: Grant
  readonly #rules: { readonly rules: readonly ActionRule[]; readonly reader: undefined }
  readonly #protocol: Protocol

  constructor(service: Service, grant: Grant, { rule, protocol }: { readonly rule: ActionRule; readonly protocol: Protocol }) {
    this.#service = service
    this.#grant = grant
    this.#protocol = protocol
    this.#rules = { rules: [rule], reader: undefined }
    const paths = { hold: "", redeemHold: "/redeem", withdrawHold: "/withdraw" } as const
    const call = async (name: keyof typeof paths, { id, body }: { id?: number; body: object }): Promise<HoldStanding> => {
      const path = `POST /v1/gateway/holds${id === undefined ? "" : `/${id}`}${paths[name]}`
      if (this.dead) return new Promise(() => {})
      const answered = service.call("gateway", path, body)
      this.calls.add(answered)
      const { status, body: answer } = await answered.finally(() => this.calls.delete(answered))
      if (this.dead) return new Promise(() => {})
      if (status !== 200) throw new GatewayError(answer.code as ErrorCode)
      return answer as unknown as HoldStanding
    }
    this.book = new HoldBook({ gateway: "gw", api: { call } as unknown as ApiClient, clock: service.clock })
  }

  async open(subject = "alice@example.com"): Promise<Visit> {
    const id = newSessionId()
    const protocol = this.#protocol
    const about = { gateway: "gw", protocol, subject, target: "prod-host", as: "root", client: "x:1" }
    const session = { id, grant: this.#grant.id, started_at: this.#service.clock.now(), ...about }
    await report(this.#service, { event: "started", session })
    const events: Event[] = []
    const controller = new AbortController()
    const recorder = {
      write: (event: Event) => events.push(event) > 0,
      get next() {
        return events.length
      },
    }
    const decisions = new Decisions({
      session: id,
      protocol,
      recorder,
      service: { use: () => Promise.reject(new Error("its uses are not counted")) },
      rules: () => this.#rules,
      holds: this.book,
      clock: this.#service.clock,
      signal: controller.signal,
      approve: (request) => `approve ${request}`,
      grant: () => this.#grant,
      ending: () => (controller.signal.aborted ? new GatewayError("killed") : undefined),
      reason: (code) => new GatewayError(code),
      ask: "",
      onFlagged: () => {},
    })
    const visit = { id, events, controller, decisions, wanted: [] }
    if (subject === "alice@example.com") this.visits.push(visit)
    return visit
  }

  want(visit: Visit, command: string): void {
    const action: Action =
      this.#protocol === "ssh"
        ? { kind: "ssh.exec", channel: 0, command }
        : { kind: "http.request", method: "DELETE", path: `/${command}`, query: [] }
    const waiting = visit.decisions.decide({ action, exact: undefined, estimate: undefined })
    if (waiting.verdict !== "hold") return
    const one: Wanted = { action, waiting, decided: undefined }
    visit.wanted.push(one)
    void waiting.decided.then((decided) => (one.decided = decided))
  }
}

const report = (service: Service, one: object, rest: object = {}) =>
  service.call("gateway", "POST /v1/gateway/sessions", { gateway: "gw", reports: [one], ...rest })

async function round(t: TestContext, seed: number): Promise<{ protocol: Protocol; runs: number; strangers: number }> {
  const random = new Random(seed)
  const count = random.chance(0.4) ? 2 : 1
  const rule = ruleOf(count)
  const protocol: Protocol = random.chance(0.4) ? "http" : "ssh"
  const service = await startService(t)
  await service.restart({ policy: { ...service.config.policy, actions: [rule] } })
  const { body: asked } = await service.ask()
  const { body: approved } = await service.call("bob", `POST /v1/requests/${asked.id}/approve`, {})
  const grant = approved.grant as Grant | null
  assert(grant)

  let gateway = new FakeGateway(service, grant, { rule, protocol })
  const gone: FakeGateway[] = []
  let heard = 0
  let strangers = 0
  const ids = async (): Promise<number[]> =>
    (await service.query("select id from requests where hold is not null order by id")).map(({ id }) => Number(id))
  const some = async (use: (id: number) => Promise<unknown>): Promise<void> => {
    const all = await ids()
    if (all.length > 0) await use(random.pick(random.chance(0.8) ? all.slice(-2) : all))
  }
  const decide = (who: string, verb: "approve" | "deny") => some((id) => service.call(who, `POST /v1/requests/${id}/${verb}`, {}))
  /** All that the feed would bring; the gateway hears it in that order, sooner or later. */
  const listen = async (): Promise<void> => {
    const rows = await service.query(
      `select sequence, detail from events where kind = 'hold.settled' and sequence > ${heard} order by sequence`,
    )
    for (const { sequence, detail } of rows) {
      heard = Number(sequence)
      gateway.book.settle(JSON.parse(String(detail)) as HoldStanding)
    }
  }
  const latest = (): Waiting | undefined => visitOf().wanted.findLast((one) => !one.decided)?.waiting
  const visitOf = (): Visit => random.pick(gateway.visits)
  const commands = ["reboot", "halt", "rm -rf /srv"]
  const steps: readonly [share: number, step: () => unknown][] = [
    [5, () => gateway.want(visitOf(), random.pick(commands))],
    [8, () => decide("bob", "approve")],
    [6, () => decide("erin", "approve")],
    [1, () => decide("alice", "approve")],
    [1, () => decide("bob", "deny")],
    [10, listen],
    [1, () => latest()?.withdraw()],
    [protocol === "http" ? 3 : 0, () => latest()?.leave()],
    [1, () => random.chance(0.3) && service.restart()],
    [1, () => random.chance(0.1) && service.call("bob", `POST /v1/grants/${grant.id}/revoke`, { reason: "enough" })],
    [1, () => service.clock.advance(random.below(within_ms / 2))],
    [
      1,
      async () => {
        const visit = visitOf()
        visit.controller.abort(new GatewayError("killed"))
        cut.add(visit)
        const { visits } = gateway
        if (visits.length > 1) visits.splice(visits.indexOf(visit), 1)
        await gateway.open()
        if (random.chance(0.7)) await report(service, { event: "ended", id: visit.id, ended_at: service.clock.now(), ended_why: "killed" })
      },
    ],
    [
      1,
      async () => {
        gateway.dead = true
        gone.push(gateway)
        const fresh = new FakeGateway(service, grant, { rule, protocol })
        const first = await fresh.open()
        gateway = fresh
        await service.call("gateway", "POST /v1/gateway/sessions", { gateway: "gw", reports: [], live: [first.id] })
        await gateway.open()
        heard = Number((await service.query("select max(sequence) as last from events"))[0]?.["last"] ?? 0)
      },
    ],
    [
      2,
      () =>
        some(async (id) => {
          const [row] = await service.query(`select hold from requests where id = ${id}`)
          const { session, digest } = JSON.parse(String(row?.["hold"])) as { session: SessionId; digest: string }
          const elsewhere = protocol === "ssh" ? visitOf() : await gateway.open("carol@example.com")
          const other = random.chance(0.5) ? { session: elsewhere.id, digest } : { session, digest: `sha256:${"b".repeat(64)}` }
          if (other.session === session && other.digest === digest) return
          const { status } = await service.call("gateway", `POST /v1/gateway/holds/${id}/redeem`, { gateway: "gw", ...other })
          strangers++
          assert.notEqual(status, 200, "nobody else uses an approval")
        }),
    ],
  ]
  const cut = new Set<Visit>()
  await gateway.open()
  await gateway.open()
  const open: unknown[] = []
  const deck = steps.flatMap(([share, step]) => Array.from({ length: share }, () => step))
  for (let n = 0; n < 60; n++) {
    const step = lost(random.pick(deck)())
    // Some happen while others are under way.
    if (random.chance(0.7)) await step
    else open.push(step)
  }
  await Promise.all(open)
  await quiet(() => gateway)
  await listen()
  await quiet(() => gateway)

  const views = new Map<RequestId, RequestView>()
  for (const id of await ids())
    views.set(id as RequestId, (await service.call("bob", `GET /v1/requests/${id}`)).body as unknown as RequestView)
  const { ended_at } = (await service.call("bob", `GET /v1/requests/${asked.id}`)).body.grant as unknown as { ended_at: number | null }
  const used = new Set<RequestId>()
  let runs = 0
  for (const visit of new Set([...gateway.visits, ...cut, ...gone.flatMap(({ visits }) => visits)])) {
    for (const event of visit.events) {
      if (event.kind !== "action" || event.verdict !== "allow") continue
      runs++
      const held = visit.events[event.held ?? -1]
      assert(held?.kind === "held" && visit.events.indexOf(event) > (event.held ?? Infinity), "it was held before it ran")
      const { request, digest } = held
      const view = views.get(request)
      assert(view?.action)
      assert.ok(!used.has(request), "an approval is for once")
      used.add(request)
      const shown = shownAction(event.action, undefined, undefined)
      assert.deepEqual([view.action.digest, view.action.text], [shown.digest, shown.text])
      if (protocol === "ssh") assert.equal(view.action.session, visit.id)
      assert.ok(view.run_at === null || view.run_at <= (ended_at ?? Infinity), "not after the grant")
      assert.equal(digest, shown.digest)
      assert.ok(view.status === "approved" && view.run_at !== null, view.status)
      const by = new Set(view.decisions.filter(({ verdict }) => verdict === "approve").map((one) => one.by))
      assert.ok(by.size >= count && !by.has("alice@example.com"), [...by].join(", "))
    }
    for (const { decided } of visit.wanted)
      if (decided?.verdict === "allow") assert.equal(visit.events[decided.action]?.kind, "action", "on record before it runs")
  }
  return { protocol, runs, strangers }
}

/** A call that is under way while the service is restarted is lost, and that is all. */
async function lost(step: unknown): Promise<void> {
  try {
    await step
  } catch (failure) {
    if (!(failure instanceof TypeError && failure.message === "fetch failed")) throw failure
  }
}

/** What is under way has its answers, and what follows from them too. */
async function quiet(gateway: () => FakeGateway): Promise<void> {
  for (let idle = 0; idle < 5; idle++) {
    if (gateway().calls.size > 0) idle = 0
    await Promise.allSettled(gateway().calls)
    await new Promise(setImmediate)
  }
}

test("held actions: in no order of what can happen does one run twice, unapproved, or with other bytes", async (t) => {
  const runs = { ssh: 0, http: 0 }
  let strangers = 0
  for (let seed = 1; seed <= 16; seed++) {
    const one = await round(t, seed)
    runs[one.protocol] += one.runs
    strangers += one.strangers
  }
  for (const [protocol, count] of Object.entries(runs))
    assert.ok(count >= 1, `the orders are such that something runs: ${protocol} ${count}`)
  assert.ok(strangers >= 5, `and such that others try: ${strangers}`)
})
