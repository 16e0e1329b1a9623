import assert from "node:assert/strict"
import { suite, test } from "node:test"
import { decodeJwt } from "jose"
import { limits } from "../../../src/core/limits.ts"
import { createRig, type Rig } from "./rig.ts"
import { actionRule } from "../../support/action_rule.ts"

const started = (rig: Rig): readonly { readonly target: string; readonly subject: string }[] =>
  rig.harness.reports.flatMap((report) => (report.event === "started" ? [report.session] : []))

const forContractors = actionRule({ who: ["contractors"], verdict: "deny", say: "not you" })

suite("http: sessions", () => {
  test("requests that come at once, over many connections and with several tokens, open one", async () => {
    const rig = await createRig()
    const { token: second } = await rig.harness.issuer.issue({
      subject: rig.harness.alice.name,
      via: "test",
      use: "target",
      target: "shop",
    })
    const clients = [...Array(8).keys()].map((i) => rig.send(i % 2 === 0 ? rig.get("/") : rig.get("/").replace(rig.token, second)))
    for (const client of clients) assert.equal((await client.answer()).status, 200)
    assert.equal(started(rig).length, 1)
    const actions = rig.harness.recording(rig.harness.lastSession()).filter((line) => line.kind === "action")
    assert.equal(actions.length, 8)
  })

  test("two targets on one connection are two sessions, and a grant for one opens no other", async () => {
    const rig = await createRig()
    const client = rig.send(rig.get("/"))
    assert.equal((await client.answer()).status, 200)
    client.write(rig.get("/").replace("shop.", "books."))
    assert.equal((await client.answer()).status, 403)
    rig.harness.grant("books")
    client.write(rig.get("/").replace("shop.", "books."))
    assert.equal((await client.answer()).status, 200)
    client.write(rig.get("/"))
    assert.equal((await client.answer()).status, 200)
    assert.deepEqual(
      started(rig).map(({ target }) => target),
      ["shop", "books"],
    )
  })

  test("one whose person is in other groups by now gives way, so that a rule for these groups counts for the next request", async () => {
    const rig = await createRig()
    const { harness } = rig
    const client = rig.send(rig.get("/"))
    assert.equal((await client.answer()).status, 200)
    harness.policy.actions = [forContractors]
    client.write(rig.get("/"))
    assert.equal((await client.answer()).status, 200)
    const person = { subject: harness.alice.name, groups: ["contractors"], disabled: false, revision: 1 }
    harness.directory.apply({ kind: "person", sequence: 1, person })
    client.write(rig.get("/"))
    const { status, body } = await client.answer()
    assert.equal(status, 403)
    assert.match(body, /not you/)
    assert.equal(started(rig).length, 2)
    const [header] = harness.recording(harness.lastSession())
    assert.deepEqual(header?.kind === "session" && header.groups, ["contractors"])
    harness.policy.actions = []
    client.write(rig.get("/"))
    assert.equal((await client.answer()).status, 200)
    const told = rig.seen.map(({ headers }) => decodeJwt(String(headers["sluice-identity"]))["groups"])
    assert.deepEqual(told, [harness.alice.groups, harness.alice.groups, ["contractors"]], "the application is told of the same groups")
  })

  test("one whose grant covers only some gives way to a better grant, on the same connection too; what it has begun goes on", async () => {
    const rig = await createRig({ granted: false })
    const { harness } = rig
    harness.grant("shop", { actions: ["GET /some"] })
    const client = rig.send(rig.get("/some"))
    assert.equal((await client.answer()).status, 200)
    client.write(rig.get("/other"))
    const { status, body } = await client.answer()
    assert.equal(status, 403)
    assert.match(body, /your grant does not cover this action\. Ask for it: ssh gateway request shop/)
    assert.equal(started(rig).length, 1, "a refusal opens nothing")
    harness.grant("shop")
    for (const path of ["/other", "/some"]) {
      client.write(rig.get(path))
      assert.equal((await client.answer()).status, 200)
    }
    assert.equal((await rig.send(rig.get("/other")).answer()).status, 200)
    assert.equal(started(rig).length, 2)
    assert.equal(harness.sessions.size, 2, "the first one ends when it has been idle")
  })

  test("two people on one connection never share one, whatever came before", async () => {
    const rig = await createRig()
    const client = rig.send(rig.get("/"))
    assert.equal((await client.answer()).status, 200)
    const { token } = await rig.harness.issuer.issue({ subject: "mallory@example.com", via: "test", use: "targets" })
    client.write(rig.get("/").replace(rig.token, token))
    assert.ok([401, 403].includes((await client.answer()).status))
    client.write("GET / HTTP/1.1\r\nHost: shop.gateway\r\n\r\n")
    assert.equal((await client.answer()).status, 401)
    assert.equal(rig.seen.length, 1)
  })

  test("one that was idle for long enough ends, and the next request opens another", async () => {
    const rig = await createRig()
    assert.equal((await rig.send(rig.get("/")).answer()).status, 200)
    const ended = (): boolean => rig.harness.reports.some((report) => report.event === "ended")
    for (let tries = 0; tries < 8 && !ended(); tries++) {
      for (let turn = 0; turn < 20; turn++) await new Promise(setImmediate)
      rig.harness.clock.advance(limits.http_session_idle_ms)
    }
    assert.equal((await rig.send(rig.get("/")).answer()).status, 200)
    assert.equal(started(rig).length, 2)
  })

  test("one with an exchange at work is not idle, however long that takes", async () => {
    const rig = await createRig({ app: (_, response) => void response.write("first") })
    const client = rig.send(rig.get("/"))
    await client.until(/first/)
    rig.harness.clock.advance(6 * limits.http_session_idle_ms)
    await new Promise(setImmediate)
    assert.equal(rig.harness.sessions.size, 1)
    client.socket.destroy()
  })

  test("more exchanges at once than the bound are told to try again, and cost nothing", async () => {
    const rig = await createRig({ app: () => {} })
    const clients = Array.from({ length: limits.http_exchanges_max }, () => rig.send(rig.get("/")))
    while (rig.seen.length < limits.http_exchanges_max) await new Promise(setImmediate)
    const answer = await rig.send(rig.get("/one-more")).answer()
    assert.deepEqual([answer.status, answer.headers["retry-after"]], [503, "1"])
    for (const client of clients) client.socket.destroy()
  })

  test("the identity an application is shown is signed anew before it ends", async () => {
    const rig = await createRig()
    const identity = async (): Promise<unknown> => {
      await rig.send(rig.get("/")).answer()
      return rig.seen.at(-1)?.headers["sluice-identity"]
    }
    const first = await identity()
    assert.equal(await identity(), first)
    rig.harness.clock.advance(limits.http_identity_ms / 2)
    assert.notEqual(await identity(), first)
  })

  test("no identity that an application is shown outlasts the grant", async () => {
    const rig = await createRig({ granted: false })
    const grant = rig.harness.grant("shop")
    rig.harness.clock.advance(grant.ends_at - rig.harness.clock.now() - 60_000)
    await rig.send(rig.get("/")).answer()
    const { exp } = decodeJwt(String(rig.seen[0]?.headers["sluice-identity"]))
    assert.equal(exp, grant.ends_at / 1000)
  })
})

suite("http: the cut", () => {
  test("a request that waits is told why with a 403, one that has begun breaks, and both connections close", async () => {
    const rig = await createRig({
      app(request, response) {
        if (request.url === "/begun") response.write("half")
      },
    })
    const [waiting, begun] = [rig.send(rig.get("/waiting")), rig.send(rig.get("/begun"))]
    await begun.until(/half/)
    while (rig.seen.length < 2) await new Promise(setImmediate)
    rig.harness.sessions.kill(rig.harness.lastSession(), { by: "bob@example.com", reason: "test" })
    const answer = await waiting.answer()
    assert.deepEqual([answer.status, answer.headers["connection"], answer.headers["sluice-error"]], [403, "close", "killed"])
    assert.match(answer.body, /ended by a colleague/)
    await Promise.all([waiting.closed, begun.closed])
    assert.doesNotMatch(begun.received, /\r\n0\r\n/)
    const statuses = rig.harness.recording(rig.harness.lastSession()).flatMap((line) => (line.kind === "outcome" ? [line.status] : []))
    assert.deepEqual(statuses, ["cut", "cut"])
  })

  test("a connection that waits for its next request is closed; a new one is refused with the line that asks", async () => {
    const rig = await createRig({ granted: false })
    const grant = rig.harness.grant("shop")
    const client = rig.send(rig.get("/"))
    assert.equal((await client.answer()).status, 200)
    rig.harness.change(grant, { status: "revoked" })
    await client.closed
    const refused = await rig.send(rig.get("/")).answer()
    assert.equal(refused.status, 403)
    assert.match(refused.body, /ssh gateway request shop/)
  })

  test("an upload stops: not a byte of it is forwarded after the cut", async () => {
    const got = { bytes: 0 }
    const rig = await createRig({
      app: (request) => void request.on("data", (chunk: Buffer) => (got.bytes += chunk.length)).on("error", () => {}),
    })
    const client = rig.send(`PUT / HTTP/1.1\r\nHost: shop.gateway\r\nX-Sluice-Token: ${rig.token}\r\nContent-Length: 100\r\n\r\nbefore`)
    while (got.bytes < 6) await new Promise(setImmediate)
    rig.harness.sessions.kill(rig.harness.lastSession(), {})
    client.write("after")
    await client.closed
    for (let turn = 0; turn < 20; turn++) await new Promise(setImmediate)
    assert.equal(got.bytes, 6)
    assert.ok(rig.sockets.every((socket) => socket.destroyed || socket.readableEnded))
  })
})
