import assert from "node:assert/strict"
import { once } from "node:events"
import { suite, test } from "node:test"
import { createLocalJWKSet, jwtVerify, type JSONWebKeySet } from "jose"
import { forbiddenPathPattern, pathPattern } from "../../../src/core/action_pattern.ts"
import type { Line } from "../../../src/record/events.ts"
import { createRig, type Rig } from "./rig.ts"

/** The recording's lines, once `count` outcomes are on it. */
async function outcomes(rig: Rig, count: number): Promise<Extract<Line, { kind: "outcome" }>[]> {
  for (;;) {
    const found = rig.harness.recording(rig.harness.lastSession()).filter((line) => line.kind === "outcome")
    if (found.length >= count) return found
    rig.harness.clock.advance(100) // outcomes are written with the next event, or soon
    await new Promise(setImmediate)
  }
}

/** The body that was sent in chunks (RFC 9112, section 7.1). */
function joined(chunked: string): string {
  let body = ""
  for (let at = 0; ;) {
    const start = chunked.indexOf("\r\n", at) + 2
    const size = Number.parseInt(chunked.slice(at, start), 16)
    if (size === 0) return body
    body += chunked.slice(start, start + size)
    at = start + size + 2
  }
}

suite("http: one exchange", () => {
  test("the application gets the request as it was, who it is from, and nothing that the client claims to be", async () => {
    const rig = await createRig({ url: "http://10.0.0.7:3000/base/" })
    const claims =
      "X-Forwarded-For: 1.2.3.4\r\nSluice-Identity: root\r\nX-Auth-User: root\r\nConnection: x-forwarded-for, sluice-identity\r\n"
    assert.equal((await rig.send(rig.get("/a?b=c", `X-Mine: 1\r\n${claims}`)).answer()).body, "hello\n")
    const [request] = rig.seen
    assert.equal(request?.url, "/base/a?b=c")
    const { "sluice-identity": identity, connection, ...headers } = request.headers
    assert.equal(connection, "keep-alive")
    assert.deepEqual(headers, {
      host: "shop.gateway",
      "x-mine": "1",
      "x-forwarded-for": "127.0.0.1",
      "x-forwarded-proto": "https",
      "x-forwarded-host": "shop.gateway",
      "x-sluice-subject": rig.harness.alice.name,
    })
    const keys = JSON.parse(
      (await rig.send("GET /.well-known/jwks.json HTTP/1.1\r\nHost: gateway\r\n\r\n").answer()).body.replace(/^.*?(\{.*\}).*$/s, "$1"),
    ) as JSONWebKeySet
    const { payload, protectedHeader } = await jwtVerify(String(identity), createLocalJWKSet(keys), {
      issuer: "https://gateway",
      audience: "https://shop.gateway",
      currentDate: new Date(rig.harness.clock.now()),
    })
    assert.equal(protectedHeader.alg, "ES256")
    assert.deepEqual([payload.sub, payload["groups"], payload["sid"]], [rig.harness.alice.name, ["engineers"], rig.harness.lastSession()])
    assert.doesNotMatch(JSON.stringify(request.rawHeaders), new RegExp(rig.token))
  })

  test("an escaped slash reaches a target that says so, as it was, and a rule that forbids knows it for a slash", async () => {
    const [strict, lenient] = [await createRig(), await createRig({ escaped_slashes: "pass" })]
    const refused = await strict.send(strict.get("/api/queues/%2f/name")).answer()
    assert.deepEqual([refused.status, strict.seen.length], [400, 0])
    assert.match(refused.body, /the path has an escaped slash/)
    for (const path of ["/api/queues/%2f/name", "/projects/group%2Fname?x=%2f"]) {
      assert.equal((await lenient.send(lenient.get(path)).answer()).status, 200)
      assert.equal(lenient.seen.at(-1)?.url, path)
    }
    for (const path of ["/a%2f..%2fb", "/a%252fb"]) assert.equal((await lenient.send(lenient.get(path)).answer()).status, 400)
    const own = await lenient.send("GET /v1%2Fgateway HTTP/1.1\r\nHost: gateway\r\n\r\n").answer()
    assert.equal(own.status, 400)
    assert.equal(forbiddenPathPattern("/api/*")("/api%2Fqueues"), true)
    assert.equal(pathPattern("/api/*")("/api%2Fqueues"), false)
  })

  test("a target that has a name is asked by that name", async () => {
    const rig = await createRig({ url: "http://shop.internal:8080/" })
    await rig.send(rig.get("/")).answer()
    assert.equal(rig.seen[0]?.headers.host, "shop.internal:8080")
    assert.equal(rig.seen[0]?.headers["x-forwarded-host"], "shop.gateway")
  })

  test("the application's own Authorization travels when the token comes in X-Sluice-Token", async () => {
    const rig = await createRig()
    await rig.send(`GET / HTTP/1.1\r\nHost: shop.gateway\r\nAuthorization: Basic YTpi\r\nX-Sluice-Token: ${rig.token}\r\n\r\n`).answer()
    assert.equal(rig.seen[0]?.headers.authorization, "Basic YTpi")
    assert.equal(rig.seen[0]?.headers["x-sluice-token"], undefined)
  })

  test("it is on record before it is sent and after it was answered, without a value of its query or its token", async () => {
    const rig = await createRig({
      app(request, response) {
        const actions = rig.harness.recording(rig.harness.lastSession()).filter((line) => line.kind === "action")
        response.statusCode = 418
        request.resume().once("end", () => response.end(JSON.stringify(actions.length)))
      },
    })
    const body = `POST /pay?card=4111&to=bob HTTP/1.1\r\nHost: shop.gateway\r\nX-Sluice-Token: ${rig.token}\r\nContent-Length: 7\r\n\r\nhunter2`
    assert.equal((await rig.send(body).answer()).body, "1")
    const [outcome] = await outcomes(rig, 1)
    assert.deepEqual([outcome?.status, outcome?.http_status, outcome?.bytes_up, outcome?.bytes_down], ["ok", 418, 7, 1])
    const text = JSON.stringify(rig.harness.recording(rig.harness.lastSession()))
    assert.match(text, /"path":"\/pay","query":\["card","to"\]/)
    for (const secret of ["4111", 'bob"', "hunter2", rig.token]) assert.ok(!text.includes(secret), secret)
  })

  test("every byte of a body comes through, short or long, with its length told or in chunks", async () => {
    for (const size of [1, 256, 8 * 1024, 8 * 1024 + 1, 20_000]) {
      const body = Buffer.from(Array.from({ length: size }, (_, i) => i % 256))
      for (const told of [true, false]) {
        const rig = await createRig({
          app: (_, response) => void response.writeHead(200, told ? { "Content-Length": size } : {}).end(body),
        })
        const answer = await rig.send(rig.get("/", "Connection: close\r\n")).answer()
        const came = told ? answer.body : joined(answer.body)
        assert.ok(Buffer.from(came, "latin1").equals(body), `${size} bytes, ${told ? "told" : "in chunks"}`)
      }
    }
  })

  test("bodies stream both ways: a byte is passed on before the next exists", async () => {
    const rig = await createRig({ app: (request, response) => void request.pipe(response) })
    const client = rig.send(`POST / HTTP/1.1\r\nHost: shop.gateway\r\nX-Sluice-Token: ${rig.token}\r\nTransfer-Encoding: chunked\r\n\r\n`)
    for (const word of ["one", "two", "three"]) {
      client.write(`${word.length.toString(16)}\r\n${word}\r\n`)
      await client.until(new RegExp(word))
    }
    client.write("0\r\n\r\n")
    assert.match((await client.answer()).body, /0\r\n\r\n$/)
  })

  test("the head of a response comes before there is a body", async () => {
    const rig = await createRig({ app: (_, response) => response.flushHeaders() })
    const client = rig.send(rig.get("/events"))
    await client.until(/200 OK[^]*\r\n\r\n/)
    assert.match(client.received, /Sluice-Access-Ends: 2026-01-15T13:00:00.000Z/)
  })

  test("a client that does not read stops the application, and what waits is bounded", async () => {
    let written = 0
    const chunk = Buffer.alloc(16_384, "x")
    const rig = await createRig({
      app(_, response) {
        const more = (): void => {
          for (;;) {
            written += chunk.length
            if (!response.write(chunk)) return void response.once("drain", more)
          }
        }
        more()
      },
    })
    const client = rig.send(rig.get("/endless"))
    await client.until(/xxxx/)
    client.socket.pause()
    let last = -1
    while (last !== written) {
      last = written
      for (let turn = 0; turn < 50; turn++) await new Promise(setImmediate)
    }
    assert.ok(written < 2 * 1024 * 1024, `${written} bytes`)
    client.socket.destroy()
  })

  test("HEAD, 204 and 304 have no body, and the connection goes on after each", async () => {
    const rig = await createRig({
      app(request, response) {
        response.statusCode = Number(request.url?.slice(1))
        if (response.statusCode === 200) response.setHeader("content-length", 4)
        response.end(response.statusCode === 200 ? "body" : undefined)
      },
    })
    const client = rig.connect()
    client.write(rig.get("/200").replace("GET", "HEAD"))
    const head = await client.answer({ body: false })
    assert.deepEqual([head.status, head.headers["content-length"]], [200, "4"])
    for (const status of [204, 304]) {
      client.write(rig.get(`/${status}`))
      assert.equal((await client.answer()).status, status)
    }
    client.write(rig.get("/200"))
    assert.equal((await client.answer()).body, "body")
  })

  test("a 304 that tells the length of what it stands for is whole, and so is the next answer", async () => {
    let asked = 0
    const rig = await createRig({
      serve: (socket) =>
        void socket.on("data", () => {
          const status = ["304 Not Modified", "204 No Content", "200 OK"][asked++ % 3]
          socket.write(`HTTP/1.1 ${status}\r\nETag: "x"\r\nContent-Length: 4\r\n\r\n${status === "200 OK" ? "body" : ""}`)
        }),
    })
    const client = rig.connect()
    for (const [status, body] of [[304, ""] as const, [204, ""] as const, [200, "body"] as const]) {
      client.write(rig.get("/"))
      const answer = await client.answer()
      assert.deepEqual([answer.status, answer.headers["etag"], answer.body], [status, '"x"', body])
    }
    assert.deepEqual(
      (await outcomes(rig, 3)).map((one) => [one.status, one.http_status]),
      [
        ["ok", 304],
        ["ok", 204],
        ["ok", 200],
      ],
    )
  })

  test("pipelined requests are answered in order", async () => {
    const rig = await createRig({ app: (request, response) => response.end(request.url) })
    const client = rig.send(rig.get("/1") + rig.get("/2") + rig.get("/3"))
    for (const url of ["/1", "/2", "/3"]) assert.equal((await client.answer()).body, url)
  })

  test("100-continue is said after the grant check, and a refused upload is never asked for", async () => {
    const rig = await createRig({ app: (request, response) => void request.pipe(response) })
    const ask = (token: string): string =>
      `PUT / HTTP/1.1\r\nHost: shop.gateway\r\nX-Sluice-Token: ${token}\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n`
    const client = rig.send(ask(rig.token))
    assert.equal((await client.answer()).status, 100)
    client.write("hello")
    assert.match((await client.answer()).body, /hello/)
    const refused = rig.send(ask("wrong"))
    const answer = await refused.answer()
    assert.deepEqual([answer.status, answer.headers["connection"]], [401, "close"])
    await refused.closed
  })

  test("trailers are dropped, but gRPC's", async () => {
    const rig = await createRig({
      app(request, response) {
        response.writeHead(200, { "content-type": request.headers["content-type"] ?? "text/plain", trailer: "grpc-status, x-other" })
        response.write("message")
        response.addTrailers({ "grpc-status": "0", "x-other": "1" })
        response.end()
      },
    })
    const plain = await rig.send(rig.get("/")).answer()
    assert.doesNotMatch(plain.body, /grpc-status|x-other/)
    const grpc = await rig.send(rig.get("/", "TE: trailers\r\nContent-Type: application/grpc\r\n")).answer()
    assert.match(grpc.body, /grpc-status: 0/)
    assert.doesNotMatch(grpc.body, /x-other/)
  })
})

suite("http: an exchange that breaks", () => {
  test("a response that the target breaks off never looks whole", async () => {
    const half = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n"
    const rig = await createRig({ serve: (socket) => void socket.once("data", () => socket.write(half)) })
    const client = rig.send(rig.get("/"))
    await client.until(/half/)
    rig.sockets[0]?.destroy()
    await client.closed
    assert.doesNotMatch(client.received, /\r\n0\r\n/)
    assert.equal((await outcomes(rig, 1))[0]?.status, "lost")
  })

  test("a target that closes without an answer, or answers nonsense, is a 502 with our words and the session's id", async () => {
    for (const said of ["", "nonsense\r\n\r\n", "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nxx"]) {
      const rig = await createRig({ serve: (socket) => void socket.once("data", () => socket.end(said)) })
      const answer = await rig.send(rig.get("/")).answer()
      assert.equal(answer.status, 502)
      assert.match(answer.body, new RegExp(`closed or broke the connection \\[${rig.harness.lastSession()}\\]`))
      assert.equal((await outcomes(rig, 1))[0]?.status, "error")
    }
  })

  test("a client that leaves in the middle of its upload ends the request on the target", async () => {
    const rig = await createRig({ app: () => {} })
    const client = rig.send(`PUT / HTTP/1.1\r\nHost: shop.gateway\r\nX-Sluice-Token: ${rig.token}\r\nContent-Length: 100\r\n\r\nhalf`)
    while (rig.seen.length === 0) await new Promise(setImmediate)
    const request = rig.seen[0]
    assert.ok(request)
    const aborted = once(request.socket, "close")
    client.socket.destroy()
    await aborted
    assert.equal(request.complete, false)
    assert.equal((await outcomes(rig, 1))[0]?.status, "cancelled")
  })

  test("a client that leaves in the middle of a response stops the application", async () => {
    const rig = await createRig({ app: (_, response) => void response.write("first") })
    const client = rig.send(rig.get("/"))
    await client.until(/first/)
    const closed = once(rig.sockets[0] ?? assert.fail(), "close")
    client.socket.destroy()
    await closed
    assert.equal((await outcomes(rig, 1))[0]?.status, "cancelled")
  })

  test("an answer before the upload is whole is passed on, and the rest of the upload does not become a request", async () => {
    const rig = await createRig({ app: (_, response) => void response.writeHead(413).end("too much") })
    const client = rig.send(
      `PUT / HTTP/1.1\r\nHost: shop.gateway\r\nX-Sluice-Token: ${rig.token}\r\nContent-Length: ${rig.get("/smuggled").length + 4}\r\n\r\nhalf`,
    )
    const answer = await client.answer()
    assert.equal(answer.status, 413)
    client.write(rig.get("/smuggled") + rig.get("/next"))
    await Promise.race([client.closed, client.answer()])
    assert.ok(!rig.seen.some(({ url }) => url === "/smuggled"))
  })
})
