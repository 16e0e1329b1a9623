import assert from "node:assert/strict"
import { suite, test } from "node:test"
import { limits } from "../../../src/core/limits.ts"
import { createRig } from "./rig.ts"

suite("http: who may not", () => {
  test("without a credential the answer is the same whether the target exists or not, and says how to get a token", async () => {
    const rig = await createRig()
    const ask = async (target: string) => rig.send(`GET /x HTTP/1.1\r\nHost: ${target}.gateway\r\n\r\n`).answer()
    const [known, unknown] = [await ask("shop"), await ask("nothing")]
    assert.equal(known.status, 401)
    assert.equal(known.headers["www-authenticate"], 'Bearer realm="sluice"')
    assert.match(known.body, /\$\(ssh -p 2222 gateway token\)/)
    assert.deepEqual({ ...unknown, headers: { ...unknown.headers, date: known.headers["date"] } }, known)
    assert.equal(rig.sockets.length, 0)
  })

  test("a wrong, foreign or ended token is as good as none", async () => {
    const rig = await createRig()
    const { token: books } = await rig.harness.issuer.issue({
      subject: rig.harness.alice.name,
      via: "test",
      use: "target",
      target: "books",
    })
    const ask = (token: string) => rig.send(`GET / HTTP/1.1\r\nHost: shop.gateway\r\nX-Sluice-Token: ${token}\r\n\r\n`).answer()
    const none = await rig.send("GET / HTTP/1.1\r\nHost: shop.gateway\r\n\r\n").answer()
    for (const token of ["garbage", `${rig.token}x`, books, "a.b.c"]) {
      const answer = await ask(token)
      assert.deepEqual([answer.status, answer.body], [401, none.body])
    }
    assert.equal((await ask(rig.token)).status, 200)
    rig.harness.clock.advance(limits.token_ms + 1_000)
    rig.harness.grant("shop")
    assert.equal((await ask(rig.token)).status, 401)
    assert.equal(rig.seen.length, 1)
  })

  test("a forbidden target and an unknown one get the same bytes, with the line that asks", async () => {
    const rig = await createRig({ granted: false })
    const ask = async (target: string) => {
      const answer = await rig.send(`GET / HTTP/1.1\r\nHost: ${target}.gateway\r\nX-Sluice-Token: ${rig.token}\r\n\r\n`).answer()
      return JSON.stringify(answer).replaceAll(target, "TARGET")
    }
    const forbidden = await ask("shop")
    assert.match(forbidden, /"status":403.*ssh gateway request TARGET/)
    assert.equal(await ask("void"), forbidden)
    assert.equal(rig.sockets.length, 0)
  })

  test("a browser gets a page, in which nothing of the request is markup", async () => {
    const rig = await createRig({ granted: false })
    const page = await rig.send(rig.get("/<script>", "Accept: text/html,*/*\r\n")).answer()
    assert.equal(page.status, 403)
    assert.match(page.headers["content-type"] ?? "", /text\/html/)
    assert.match(page.headers["content-security-policy"] ?? "", /default-src 'none'/)
    assert.doesNotMatch(page.body, /<script/)
  })

  test("the keys that verify identities are for anybody, at the gateway's own name alone", async () => {
    const rig = await createRig()
    const keys = await rig.send("GET /.well-known/jwks.json HTTP/1.1\r\nHost: gateway\r\n\r\n").answer()
    assert.equal(keys.status, 200)
    assert.match(keys.body, /"kty":"EC"/)
    assert.doesNotMatch(keys.body, /"d":/)
    assert.equal((await rig.send("GET /.well-known/jwks.json HTTP/1.1\r\nHost: shop.gateway\r\n\r\n").answer()).status, 401)
    assert.equal((await rig.send("GET /else HTTP/1.1\r\nHost: gateway\r\n\r\n").answer()).status, 503)
    assert.equal((await rig.send("GET / HTTP/1.1\r\nHost: elsewhere.example\r\n\r\n").answer()).status, 421)
  })
})

suite("http: what is not one request", () => {
  const token = "TOKEN"
  const head = `Host: shop.gateway\r\nX-Sluice-Token: ${token}\r\n`
  const bad: Readonly<Record<string, readonly [string, number]>> = {
    "Content-Length and Transfer-Encoding": [
      `POST / HTTP/1.1\r\n${head}Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n`,
      400,
    ],
    "two Content-Lengths": [`POST / HTTP/1.1\r\n${head}Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello`, 400],
    "Transfer-Encoding on HTTP/1.0": [`POST / HTTP/1.0\r\n${head}Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n`, 400],
    "gzip, chunked": [`POST / HTTP/1.1\r\n${head}Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n`, 501],
    "a folded header": [`GET / HTTP/1.1\r\n${head}X-A: 1\r\n  2\r\n\r\n`, 400],
    "a space before the colon": [`GET / HTTP/1.1\r\n${head}X-A : 1\r\n\r\n`, 400],
    "a bare LF": [`GET / HTTP/1.1\n${head}\n`, 400],
    "a bare CR": [`GET / HTTP/1.1\r\n${head}X-A: 1\r2\r\n\r\n`, 400],
    "a NUL": [`GET / HTTP/1.1\r\n${head}X-A: 1\0\r\n\r\n`, 400],
    "two Hosts": [`GET / HTTP/1.1\r\n${head}Host: books.gateway\r\n\r\n`, 400],
    "no Host": [`GET / HTTP/1.1\r\nX-Sluice-Token: ${token}\r\n\r\n`, 400],
    "no Host in HTTP/1.0": [`GET / HTTP/1.0\r\nX-Sluice-Token: ${token}\r\n\r\n`, 400],
    "an absolute target for another host": [`GET http://books.gateway/ HTTP/1.1\r\n${head}\r\n`, 400],
    "HTTP/0.9": [`GET / HTTP/0.9\r\n${head}\r\n`, 501],
    "HTTP/2 without asking": ["PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 400],
    "an underscore": [`GET / HTTP/1.1\r\n${head}X_Auth_User: root\r\n\r\n`, 400],
    "an escaped slash": [`GET /a%2fb HTTP/1.1\r\n${head}\r\n`, 400],
    "a fragment": [`GET /a#b HTTP/1.1\r\n${head}\r\n`, 400],
    TRACE: [`TRACE / HTTP/1.1\r\n${head}\r\n`, 501],
    CONNECT: [`CONNECT shop.gateway:80 HTTP/1.1\r\n${head}\r\n`, 501],
    h2c: [`GET / HTTP/1.1\r\n${head}Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\n\r\n`, 501],
    "an upgrade with a body": [`GET / HTTP/1.1\r\n${head}Connection: Upgrade\r\nUpgrade: websocket\r\nContent-Length: 1\r\n\r\nx`, 501],
    "another expectation": [`GET / HTTP/1.1\r\n${head}Expect: 200-ok\r\n\r\n`, 417],
    "headers beyond the bytes": [`GET / HTTP/1.1\r\n${head}X-A: ${"a".repeat(limits.http_header_bytes_max)}\r\n\r\n`, 431],
    "headers beyond the count": [`GET / HTTP/1.1\r\n${head}${"X-A: 1\r\n".repeat(limits.http_headers_max)}\r\n`, 431],
    "no HTTP at all": ["\x16\x03\x01\x02\x00\r\n\r\n", 400],
  }
  for (const [what, [text, status]] of Object.entries(bad)) {
    test(`${what}: ${status}, the connection closes, and the target sees nothing`, async () => {
      const rig = await createRig()
      const { answer, other } = { answer: rig.send(text.replace(token, rig.token)), other: rig.send(rig.get("/other")) }
      assert.equal((await answer.answer()).status, status)
      await answer.closed
      assert.equal((await other.answer()).status, 200)
      assert.deepEqual(
        rig.seen.map(({ url }) => url),
        ["/other"],
      )
    })
  }

  for (const [what, chunk] of [
    ["a chunk size that is no number", "xyz\r\n"],
    ["a signed chunk size", "+5\r\nhello\r\n0\r\n\r\n"],
    ["a chunk longer than its size", "3\r\nhello\r\n0\r\n\r\n"],
    ["a chunk extension with a bare LF", "5;a\nhello\r\n0\r\n\r\n"],
    ["a chunk size ended by LF alone", "5\nhello\r\n0\r\n\r\n"],
  ] as const) {
    test(`${what} ends the connection, and what follows is no request`, async () => {
      const rig = await createRig({ app: (request, response) => void request.resume().once("end", () => response.end("done")) })
      const smuggled = rig.get("/smuggled")
      const client = rig.send(
        `POST /first HTTP/1.1\r\n${head.replace(token, rig.token)}Transfer-Encoding: chunked\r\n\r\n${chunk}${smuggled}`,
      )
      await client.closed
      assert.ok(!rig.seen.some(({ url }) => url === "/smuggled"))
      assert.ok(!client.received.includes("200 OK"))
    })
  }

  test("a client that dribbles its next request is closed after the keep-alive time, as one that says nothing", async () => {
    const rig = await createRig()
    const [dribbling, silent] = [rig.send(rig.get("/")), rig.send(rig.get("/"))]
    await Promise.all([dribbling.answer(), silent.answer()])
    dribbling.write("GET / HTTP/1.1\r\nHos")
    const both = Promise.all([dribbling.closed, silent.closed]).then(() => true)
    const turn = (): Promise<boolean> => new Promise((resolve) => void setImmediate(resolve, false))
    while (!(await Promise.race([both, turn()]))) rig.harness.clock.advance(limits.http_keep_alive_ms)
  })
})
