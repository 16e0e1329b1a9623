// HTTP with the programs people have: curl and a WebSocket client, over TLS with the gateway's own CA, to a real application.
import assert from "node:assert/strict"
import { createHash } from "node:crypto"
import { readFileSync, writeFileSync } from "node:fs"
import { createServer } from "node:http"
import { createServer as createSecureServer } from "node:https"
import { once } from "node:events"
import type { AddressInfo } from "node:net"
import { join } from "node:path"
import { text as readText } from "node:stream/consumers"
import { connect } from "node:tls"
import { after, before, suite, test } from "node:test"
import { createRemoteJWKSet, customFetch, jwtVerify } from "jose"
import { WebSocket, type ClientOptions } from "ws"
import { http } from "../../protocols/http/index.ts"
import { selfSigned } from "../support/certificate.ts"
import { curl, webSocket } from "../support/clients.ts"
import { type HttpApp, startHttpApp } from "../support/http_app.ts"
import { type People, people } from "../support/people.ts"
import { launch, must, run } from "../support/run.ts"
import { scratch } from "../support/scratch.ts"
import { type Sluice, startSluice } from "../support/sluice.ts"
import { gatewayName, httpTarget } from "../support/sluice_config.ts"
import { needs } from "../support/tools.ts"
import { eventually } from "../support/wait.ts"

suite("http, with curl and a WebSocket client", { skip: needs("curl", "openssl"), concurrency: 1 }, () => {
  const who: People = people()
  let app: HttpApp
  let sluice: Sluice

  before(async () => {
    app = await startHttpApp()
    sluice = await startSluice({
      users: Object.values(who),
      targets: [httpTarget("grafana", app), httpTarget("wiki", app), { name: "gone", http: { url: "http://127.0.0.1:1" } }],
      protocols: [http],
    })
    for (const target of ["grafana", "gone"]) await sluice.grant(who.alice, target, { by: who.bob, for: "1h" })
  })
  after(async () => {
    await sluice.stop()
    await app.stop()
  })

  const login = (target = "grafana") => ({ sluice, person: who.alice, target })
  const ask = async (path: string, more: readonly string[] = [], target = "grafana"): Promise<string> =>
    must(...(await curl(login(target), path, more)))
  const url = (target: string, path: string): string => `https://${target}.${gatewayName}:${sluice.port("http")}${path}`
  /** curl without a token. */
  const anonymous = (target: string, more: readonly string[] = []) => {
    const host = `${target}.${gatewayName}:${sluice.port("http")}:127.0.0.1`
    return run("curl", ["-sS", "-i", "--resolve", host, "--cacert", sluice.caFile, ...more, url(target, "/")])
  }

  test("a request goes through and is on record; the application knows who it is from", async () => {
    const seen = JSON.parse(await ask("/echo?page=2")) as { url: string; headers: Record<string, string> }
    assert.equal(seen.url, "/echo?page=2")
    assert.equal(seen.headers["host"], `grafana.${gatewayName}:${sluice.port("http")}`)
    assert.equal(seen.headers["x-sluice-subject"], who.alice.name)
    assert.equal(seen.headers["authorization"], undefined)
    const jwks = createRemoteJWKSet(new URL(`https://${gatewayName}/.well-known/jwks.json`), {
      [customFetch]: async () => {
        const at = `${gatewayName}:${sluice.port("http")}`
        const trust = ["-sS", "--resolve", `${at}:127.0.0.1`, "--cacert", sluice.caFile]
        return new Response(await must("curl", [...trust, `https://${at}/.well-known/jwks.json`]))
      },
    })
    const { payload } = await jwtVerify(seen.headers["sluice-identity"] ?? "", jwks, {
      issuer: `https://${gatewayName}`,
      audience: `https://grafana.${gatewayName}`,
    })
    assert.deepEqual([payload.sub, payload["groups"]], [who.alice.name, who.alice.groups])
    const session = (await sluice.sessions(who.alice)).find(({ target }) => target === "grafana")
    assert.ok(session)
    const lines = await eventually("the outcome on record", () => {
      const lines = sluice.recording(session.id)
      return lines.some((line) => line.kind === "outcome" && line.http_status === 200) && lines
    })
    const action = lines.find((line) => line.kind === "action")
    assert.deepEqual(action?.action, { kind: "http.request", method: "GET", path: "/echo", query: ["page"] })
  })

  test("curl offers HTTP/2 and gets HTTP/1.1", async () => {
    assert.equal(await ask("/status/200", ["--http2", "-o", "/dev/null", "-w", "%{http_version}"]), "1.1")
  })

  test("without a token anybody gets the same 401, with a grant missing the line that asks", async () => {
    const [known, unknown] = [await anonymous("wiki"), await anonymous("nothing")]
    assert.match(known.stdout, /^HTTP\/1.1 401 [^]*WWW-Authenticate: Bearer realm="sluice"[^]*Bearer \$\(ssh .*token\)/)
    const undated = (text: string): string => text.replace(/Date: .*\r\n/, "")
    assert.equal(undated(unknown.stdout), undated(known.stdout))
    for (const target of ["wiki", "nothing"]) {
      const { stdout } = await anonymous(target, ["-H", "Accept: text/html"])
      assert.match(stdout, new RegExp(`^HTTP/1.1 303 [^]*Location: http://127\\.0\\.0\\.1:\\d+/gateway-login\\?host=${target}\\.gw\\.test`))
    }
    const refused = await ask("/", ["-w", "%{http_code}"], "wiki")
    assert.match(refused, /you have no access to this target now. Ask for it: ssh gateway request wiki .*\n403$/)
  })

  test("50 MB go up and come down unchanged, and neither is kept in memory", async (t) => {
    const file = join(scratch("upload"), "large")
    writeFileSync(file, Buffer.alloc(50_000_000, "0123456789"))
    const size = 50_000_000
    const sink = createServer((request, response) => {
      const hash = createHash("sha256")
      request.on("data", (chunk: Buffer) => hash.update(chunk)).once("end", () => response.end(hash.digest("hex")))
    })
    sink.listen(0, "127.0.0.1")
    await once(sink, "listening")
    const up = await startSluice({
      users: Object.values(who),
      targets: [{ name: "sink", http: { url: `http://127.0.0.1:${(sink.address() as AddressInfo).port}` } }],
      protocols: [http],
    })
    t.after(async () => {
      await up.stop()
      sink.close()
    })
    await up.grant(who.alice, "sink", { by: who.bob, for: "1h" })
    const before_bytes = process.memoryUsage().rss
    const said = await must(...(await curl({ sluice: up, person: who.alice, target: "sink" }, "/", ["-T", file])))
    assert.equal(said, createHash("sha256").update(readFileSync(file)).digest("hex"))
    assert.equal(await ask(`/bytes/${size}`, ["-o", "/dev/null", "-w", "%{size_download}"]), String(size))
    assert.ok(process.memoryUsage().rss - before_bytes < 150_000_000)
  })

  test("what stands behind a request that ends its connection never runs, and that request is answered", async () => {
    const servername = `grafana.${gatewayName}`
    const head = `Host: ${servername}\r\nX-Sluice-Token: ${await sluice.token(who.alice, "grafana")}\r\n`
    const get = (path: string, more = ""): string => `GET ${path} HTTP/1.1\r\n${head}${more}\r\n`
    const last: readonly (readonly [string, number])[] = [
      [get("/a%2fb"), 400],
      [get("/", "Host: wiki\r\n"), 400],
      [get("/", "X_Auth_User: root\r\n"), 400],
      [get("/", "Expect: anything\r\n"), 417],
      [`POST / HTTP/1.1\r\n${head}Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n`, 501],
      [get("/status/201", "Connection: close\r\n"), 201],
      [get("/status/201").replace("1.1", "1.0"), 201],
    ]
    for (const [request, status] of last)
      for (const before of ["", get("/status/200")]) {
        const socket = connect({ host: "127.0.0.1", port: sluice.port("http"), ca: readFileSync(sluice.caFile), servername })
        await once(socket, "secureConnect")
        socket.write(before + request + get("/behind"), "latin1")
        const answers = (await readText(socket)).matchAll(/^HTTP\/1\.1 (\d+)/gm)
        const expected = [...(before === "" ? [] : [200]), status]
        assert.deepEqual(
          Array.from(answers, ([, code]) => Number(code)),
          expected,
          request,
        )
      }
    await ask("/status/200")
    assert.ok(!app.received.some((request) => request.url === "/behind"))
    assert.ok(!app.received.some((request) => request.url === "/behind"))
  })

  test("a target that does not answer is a 502 in our words", async () => {
    assert.match(await ask("/", ["-w", "%{http_code}"], "gone"), /the target does not answer \[s_[0-9a-z]{16}\]\n502$/)
  })

  test("a target that speaks TLS must show the certificate that its config expects", async (t) => {
    const mine = await selfSigned(["127.0.0.1"])
    const other = await selfSigned(["127.0.0.1"])
    const secure = createSecureServer(mine, (request, response) => void response.end(`over TLS: ${request.url}`))
    secure.listen(0, "127.0.0.1")
    await once(secure, "listening")
    const address = `https://127.0.0.1:${(secure.address() as AddressInfo).port}`
    const folder = scratch("trust")
    const trust = (name: string, cert: string) => {
      writeFileSync(join(folder, name), cert)
      return { name, http: { url: address, ca: `file:${join(folder, name)}` } }
    }
    const targets = [trust("trusted", mine.cert), trust("untrusted", other.cert)]
    const own = await startSluice({ users: Object.values(who), targets, protocols: [http] })
    t.after(async () => {
      await own.stop()
      secure.closeAllConnections()
      secure.close()
    })
    for (const { name } of targets) await own.grant(who.alice, name, { by: who.bob, for: "1h" })
    const get = async (target: string): Promise<string> => must(...(await curl({ sluice: own, person: who.alice, target }, "/x")))
    assert.equal(await get("trusted"), "over TLS: /x")
    assert.match(await get("untrusted"), /the target could not prove that it is the one it should be/)
  })

  test("a WebSocket works, and nobody can say through its upgrade who they are", async () => {
    const claims = { "Sluice-Identity": "root", "X-Forwarded-User": "root", "X-Auth-User": "root", "X-Sluice-Subject": "root" }
    const socket = await webSocket(login(), "/ws", claims)
    socket.send("hello")
    const [echo] = (await once(socket, "message")) as [Buffer]
    assert.equal(echo.toString(), "hello")
    const upgrade = app.received.findLast((request) => request.upgrade)
    assert.equal(upgrade?.headers["x-sluice-subject"], who.alice.name)
    assert.match(String(upgrade?.headers["sluice-identity"]), /^ey/)
    for (const name of ["x-forwarded-user", "x-auth-user", "authorization"]) assert.equal(upgrade?.headers[name], undefined)
    socket.send("bye")
    const [code] = (await once(socket, "close")) as [number]
    assert.equal(code, 4000)
  })

  test("a WebSocket without a token is refused before the application hears of it", async () => {
    const upgrades = app.received.filter((request) => request.upgrade).length
    const host = `grafana.${gatewayName}`
    const options: ClientOptions & { readonly servername: string } = {
      ca: readFileSync(sluice.caFile),
      servername: host,
      headers: { host },
    }
    const socket = new WebSocket(`wss://127.0.0.1:${sluice.port("http")}/ws`, options)
    const [failure] = (await once(socket, "error")) as [Error]
    assert.match(failure.message, /401/)
    assert.equal(app.received.filter((request) => request.upgrade).length, upgrades)
  })

  test("revoked: a download breaks off, a request that waits reads why, a WebSocket closes with the reason, and the next is refused", async (t) => {
    const other = await startSluice({ users: Object.values(who), targets: [httpTarget("grafana", app)], protocols: [http] })
    t.after(() => other.stop())
    const grant = await other.grant(who.alice, "grafana", { by: who.bob, for: "1h" })
    const there = { sluice: other, person: who.alice, target: "grafana" }
    const open = app.open()
    const drip = launch(...(await curl(there, "/drip")))
    await drip.says(/T.*Z/)
    const [slow, socket] = [run(...(await curl(there, "/slow", ["-w", "%{http_code}"]))), await webSocket(there, "/ws")]
    await eventually("all three to run", () => app.open() === open + 3)
    const closed = once(socket, "close") as Promise<[number, Buffer]>
    await other.revoke(grant, who.bob)
    assert.equal((await drip.ended).status, 18)
    assert.match(
      (await slow).stdout,
      /your access to grafana ended at .* \(grant g_[0-9a-z]{16}, revoked\)\. Ask again: ssh gateway .*\n403$/,
    )
    const [code, reason] = await closed
    assert.equal(code, 1008)
    assert.match(reason.toString(), /^sluice: your access to grafana ended at /)
    await eventually("nothing to run in the application", () => app.open() === open)
    assert.match(await must(...(await curl(there, "/", ["-w", "%{http_code}"]))), /you have no access to this target now.*\n403$/)
  })
})
