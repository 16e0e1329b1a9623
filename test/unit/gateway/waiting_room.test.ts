// Those who ask at a gate and wait there: every way in which that ends, on a fake clock, with what the service answers said by the test.
import assert from "node:assert/strict"
import { suite, test } from "node:test"
import type { Offer } from "../../../src/api/asking_schema.ts"
import type { RequestView } from "../../../src/api/schema.ts"
import { GatewayError } from "../../../src/core/errors.ts"
import type { Grant } from "../../../src/core/grant.ts"
import { mintIdentity } from "../../../src/core/identity.ts"
import type { RequestId } from "../../../src/core/ids.ts"
import { limits } from "../../../src/core/limits.ts"
import type { HereAsked } from "../../../src/gateway/control_plane/asking_service.ts"
import { type Visit, WaitingRoom } from "../../../src/gateway/waiting_room.ts"
import { FakeClock } from "../../support/fake_clock.ts"

const minute = 60_000
const offer: Offer = { max_ms: 60 * minute, at_once: false, by: ["oncall"], count: 1, reason_required: true, ticket: null }
const settled = { kind: "request", sequence: 1, request: 7 as RequestId, by: "bob", reason: "" } as const

const viewOf = (change: Partial<RequestView> = {}): RequestView =>
  ({
    id: 7,
    target: "prod-host",
    as: ["root"],
    duration_ms: 20 * minute,
    status: "pending",
    steps: [{ by: ["oncall"], count: 1, approved_by: [] }],
    order: "any",
    grant: null,
    ...change,
  }) as unknown as RequestView

/** A room, and what the service was asked; `answer` may be changed. */
function open() {
  const clock = new FakeClock()
  const asked: HereAsked[] = []
  const left: number[] = []
  const service = { answer: (): Promise<RequestView> => Promise.resolve(viewOf()) }
  const room = new WaitingRoom({
    clock,
    link: (id) => `https://access.test/requests/${id}`,
    withdraw: (id) => `ssh gateway withdraw ${id}`,
    service: {
      offer: () => Promise.resolve(offer),
      ask: (question) => {
        asked.push(question)
        return service.answer()
      },
      leave: (request) => Promise.resolve(void left.push(request)),
    },
  })
  const state = { opens: false, stale: false, told: [] as string[], problems: [] as (string | undefined)[], granted: [] as Grant[] }
  const client = new AbortController()
  const visit = (change: Partial<Visit> & { readonly subject?: string } = {}): Promise<string> => {
    const { subject = "alice", ...more } = change
    const going = room.visit({
      identity: mintIdentity({ subject, groups: [], via: "test", until: Infinity }),
      target: "prod-host",
      as: "root",
      signal: client.signal,
      offer,
      wait_ms: 10 * minute,
      client: "203.0.113.7:1",
      protocol: "ssh",
      refusal: new GatewayError("no_grant"),
      words: (_offer, problem) => {
        state.problems.push(problem)
        return Promise.resolve({ reason: "INC-7", duration_ms: 20 * minute })
      },
      told: ({ say, link }) => void state.told.push(`${say} ${link}`),
      opens: () => (state.stale ? Promise.reject(new GatewayError("stale")) : Promise.resolve(state.opens)),
      onGrant: (grant) => void state.granted.push(grant),
      ...more,
    })
    return going.then(
      () => "in",
      (failure: unknown) => (failure instanceof GatewayError ? `${failure.code}: ${failure.message}` : String(failure)),
    )
  }
  return { clock, room, service, asked, left, state, client, visit }
}

/** Everything that is not waiting for time or the service has happened. */
const quiet = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))
const grant = { subject: "alice", target: "prod-host" } as Grant

suite("those who ask at a gate", () => {
  test("are told the request, its link and who decides, and are in when a grant comes", async () => {
    const { room, visit, state, asked, left, clock } = open()
    const going = visit()
    await quiet()
    assert.deepEqual(state.told, ["Request 7 for prod-host as root, 20m. To be approved by oncall. https://access.test/requests/7"])
    const { until, reason, duration_ms, as } = asked[0]!
    assert.deepEqual([until, reason, duration_ms, as], [clock.now() + 10 * minute, "INC-7", 20 * minute, "root"])
    room.onSettled({ ...settled, status: "approved" })
    await quiet()
    assert.equal(room.count, 1, "approved is not yet a grant")
    state.opens = true
    room.onGrant(grant)
    assert.equal(await going, "in")
    assert.deepEqual([left, room.count], [[], 0])
  })

  for (const [status, reason, words] of [
    ["denied", "not \u001b[2J today", "request 7 was denied by bob: not \\e[2J today"],
    ["denied", "", "request 7 was denied by bob: no reason given"],
    ["withdrawn", "", "request 7 was taken back"],
    ["lapsed", "", "nobody decided about request 7 in time"],
  ] as const) {
    test(`read why not: ${words}`, async () => {
      const { room, visit, left } = open()
      const going = visit()
      await quiet()
      room.onSettled({ ...settled, status, reason })
      assert.equal(await going, `not_given: ${words}`)
      assert.deepEqual(left, [])
    })
  }

  test("a decision that was heard before the answer that names the request is not missed", async () => {
    const { room, visit, service } = open()
    const answer = Promise.withResolvers<RequestView>()
    service.answer = () => answer.promise
    const going = visit()
    await quiet()
    room.onSettled({ ...settled, status: "denied" })
    answer.resolve(viewOf())
    assert.match(await going, /denied/)
  })

  test("nor is a grant", async () => {
    const { room, visit, service, state } = open()
    const answer = Promise.withResolvers<RequestView>()
    service.answer = () => answer.promise
    const going = visit()
    await quiet()
    state.opens = true
    room.onGrant(grant)
    answer.resolve(viewOf())
    assert.equal(await going, "in")
  })

  test("a grant that came another way lets them in, and what they asked is taken back", async () => {
    const { room, visit, state, left } = open()
    const going = visit()
    await quiet()
    state.opens = true
    room.onGrant(grant)
    assert.equal(await going, "in")
    assert.deepEqual(left, [7])
  })

  test("another's grant, or one for another target, is looked past", async () => {
    const { room, visit, state, client } = open()
    const going = visit()
    await quiet()
    state.opens = true
    room.onGrant({ ...grant, subject: "carol" })
    room.onGrant({ ...grant, target: "other" })
    await quiet()
    assert.equal(room.count, 1)
    client.abort()
    assert.match(await going, /the client left/)
  })

  test("while it cannot be said whether a grant opens (the feed is catching up) they wait, and are in as soon as it can", async () => {
    const { room, visit, state, clock } = open()
    const going = visit()
    await quiet()
    state.stale = true
    room.onGrant(grant)
    await quiet()
    clock.advance(limits.heartbeat_ms)
    await quiet()
    ;[state.stale, state.opens] = [false, true]
    clock.advance(limits.heartbeat_ms)
    assert.equal(await going, "in")
  })

  test("who leaves takes it back; after a decision there is nothing to take back", async () => {
    const { visit, client, left } = open()
    const going = visit()
    await quiet()
    client.abort()
    assert.match(await going, /the client left/)
    assert.deepEqual(left, [7])

    const decided = open()
    const other = decided.visit()
    await quiet()
    decided.room.onSettled({ ...settled, status: "approved" })
    decided.client.abort()
    assert.match(await other, /the client left/)
    assert.deepEqual(decided.left, [])
  })

  test("who leaves while the question is on its way takes it back when it has arrived", async () => {
    const { visit, client, left, service } = open()
    const answer = Promise.withResolvers<RequestView>()
    service.answer = () => answer.promise
    const going = visit()
    await quiet()
    client.abort()
    answer.resolve(viewOf())
    assert.match(await going, /the client left/)
    assert.deepEqual(left, [7])
  })

  test("who leaves at the question has asked for nothing", async () => {
    const { visit, client, asked } = open()
    const going = visit({ words: () => new Promise(() => {}) })
    await quiet()
    client.abort()
    assert.match(await going, /the client left/)
    assert.deepEqual(asked, [])
  })

  test("when the time of the target is up they are told how to go on; the request is not taken back", async () => {
    const { visit, clock, left } = open()
    const going = visit()
    await quiet()
    clock.advance(10 * minute)
    assert.match(await going, /nobody has decided about request 7 in 10m\. It still can be:.*ssh gateway withdraw 7/)
    assert.deepEqual(left, [])
  })

  test("who does not answer a question is not waited for", async () => {
    const { visit, clock, asked } = open()
    const going = visit({ words: () => new Promise(() => {}) })
    await quiet()
    clock.advance(limits.ask_answer_ms_max)
    assert.match(await going, /handshake_timeout/)
    assert.deepEqual(asked, [])
  })

  test("who would rather not is told what everybody without a grant is", async () => {
    const { visit, asked } = open()
    assert.match(await visit({ words: () => Promise.resolve(undefined) }), /^no_grant/)
    assert.deepEqual(asked, [])
  })

  test("a rule that wants to know nothing asks nothing; its grant is known before they are let in", async () => {
    const { visit, service, state } = open()
    service.answer = () => Promise.resolve(viewOf({ status: "approved", grant: { ...grant, id: "g_1" } as never }))
    const going = visit({ offer: { ...offer, at_once: true }, opens: () => Promise.resolve(state.granted.length === 1) })
    assert.equal(await going, "in")
    assert.deepEqual([state.problems, state.told], [[], []])
  })

  test("what cannot be asked is said, and asked again, and not for ever", async () => {
    const { visit, service, state, asked } = open()
    service.answer = () => Promise.reject(new GatewayError("invalid", { what: "this target asks for a reason with a ticket in it" }))
    assert.match(await visit(), /^invalid: this target asks for a reason with a ticket/)
    assert.deepEqual([asked.length, state.problems.length], [limits.ask_tries_max, limits.ask_tries_max])
    assert.equal(state.problems[1], "this target asks for a reason with a ticket in it")
  })

  test("a reason with control or bidi characters never leaves the gateway", async () => {
    for (const reason of ["a\u001b[2Jb", "a\u202eb", "a\nb", "x".repeat(limits.reason_chars_max + 1)]) {
      const { visit, asked } = open()
      assert.match(await visit({ words: () => Promise.resolve({ reason, duration_ms: undefined }) }), /^invalid: a reason is plain words/)
      assert.deepEqual(asked, [])
    }
  })

  test("a service that says no in the meantime, or does not answer, ends it in its own words", async () => {
    for (const [code, said] of [
      ["not_askable", /^no_grant/],
      ["login_needed", /^no_grant/],
      ["login_over", /^login_over/],
      ["stale", /^stale/],
      ["too_many", /^too_many/],
    ] as const) {
      const { visit, service, room } = open()
      service.answer = () => Promise.reject(new GatewayError(code))
      assert.match(await visit(), said)
      assert.equal(room.count, 0)
    }
  })

  test("a gateway that shuts down lets them go with its own words, takes nothing back, and takes nobody new", async () => {
    const { visit, room, left } = open()
    const going = visit()
    await quiet()
    room.close()
    assert.match(await going, /^shutdown/)
    assert.match(await visit(), /^shutdown/)
    assert.deepEqual(left, [])
  })

  test("a store that was put back may know nothing of them: they are told to try again", async () => {
    const { visit, room } = open()
    const going = visit()
    await quiet()
    room.otherHistory()
    assert.match(await going, /^stale/)
  })

  test("a thousand wait, no more; and one person cannot take all of the room", async () => {
    const { visit, room, client } = open()
    const own = Array.from({ length: limits.asking_per_subject_max }, () => visit({ subject: "greedy" }))
    await quiet()
    assert.match(await visit({ subject: "greedy" }), /^busy/)
    const others = Array.from({ length: limits.asking_max - own.length }, (_, index) => visit({ subject: `somebody-${index}` }))
    await quiet()
    assert.equal(room.count, limits.asking_max)
    assert.match(await visit({ subject: "one more" }), /^busy/)
    client.abort()
    await Promise.all([...own, ...others])
    assert.equal(room.count, 0)
  })
})
