import assert from "node:assert/strict"
import { suite, test } from "node:test"
import { limits } from "../../../src/core/limits.ts"
import { createRig } from "./rig.ts"

const upgrade = "GET /socket HTTP/1.1\r\nHost: shop.gateway\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"

suite("http: pipelined requests", () => {
  test("they reach the application one after the other, as they were sent", async () => {
    const answers: (() => void)[] = []
    const rig = await createRig({ app: (request, response) => void answers.push(() => response.end(request.url)) })
    const client = rig.send(rig.get("/1") + rig.get("/2") + rig.get("/3"))
    for (const path of ["/1", "/2", "/3"]) {
      while (answers.length === 0) await new Promise(setImmediate)
      assert.deepEqual([answers.length, rig.seen.at(-1)?.url], [1, path])
      answers.shift()?.()
      assert.equal((await client.answer()).body, path)
    }
  })

  test("those that wait when the client leaves are never sent on", async () => {
    const rig = await createRig({ app: () => {} })
    const client = rig.send(rig.get("/1") + rig.get("/2"))
    while (rig.seen.length === 0) await new Promise(setImmediate)
    client.socket.destroy()
    while (rig.sockets.some((socket) => !socket.destroyed)) await new Promise(setImmediate)
    assert.deepEqual(
      rig.seen.map((request) => request.url),
      ["/1"],
    )
  })

  test("an upgrade behind a request that is not answered closes the connection, and only that", async () => {
    const rig = await createRig()
    for (const first of [rig.get("/"), "GET / HTTP/1.1\r\nHost: shop.gateway\r\n\r\n"]) {
      const client = rig.send(first + upgrade)
      await client.closed
    }
    assert.equal((await rig.send(rig.get("/")).answer()).status, 200)
  })

  test("more of them than the bound close the connection", async () => {
    const rig = await createRig({ app: () => {} })
    await rig.send(rig.get("/").repeat(limits.http_pipelined_max + 2)).closed
  })

  test("a refused upgrade leaves no connection open behind it, though the client keeps its side", async () => {
    const rig = await createRig({ app: (_, response) => void response.writeHead(404).end("no") })
    const client = rig.send(rig.get("/socket", "Connection: Upgrade\r\nUpgrade: websocket\r\n"))
    assert.equal((await client.answer()).status, 404)
    while (!client.socket.destroyed) await new Promise(setImmediate)
  })
})

suite("http: the application's status line", () => {
  for (const words of ["caf\u00e9", "\u00e2\u009c\u0093", "a\u0001b"]) {
    test(`words that may not be sent on (${JSON.stringify(words)}) cost nothing but the words`, async () => {
      const head = `HTTP/1.1 200 ${words}\r\nContent-Length: 5\r\n\r\nhello`
      const rig = await createRig({ serve: (socket) => void socket.once("data", () => socket.write(head, "latin1")) })
      const answer = await rig.send(rig.get("/")).answer()
      assert.deepEqual([answer.status, answer.body], [200, "hello"])
    })
  }
})
