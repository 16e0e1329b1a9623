import assert from "node:assert/strict"
import { readFileSync, writeFileSync } from "node:fs"
import { connect } from "node:tls"
import { join } from "node:path"
import { after, before, describe, test } from "node:test"
import { generateOpensshKey } from "../../src/config/openssh_key.ts"
import { csr } from "../support/csr.ts"
import { startHttpApp, type HttpApp } from "../support/http_app.ts"
import { people, type Person } from "../support/people.ts"
import { startPostgres, type Postgres } from "../support/postgres.ts"
import { must, run, type Ran } from "../support/run.ts"
import { scratch } from "../support/scratch.ts"
import { startSluice, type Sluice } from "../support/sluice.ts"
import { gatewayName, httpTarget, postgresTarget } from "../support/sluice_config.ts"
import { needs } from "../support/tools.ts"

interface Shown {
  readonly cert: string
  readonly key: string
}

describe("client certificates, with the stock psql and curl", { skip: needs("psql", "curl", "openssl", "ssh-keygen") }, () => {
  const { alice, bob, dana } = people()
  const folder = scratch("client-certificates")
  let sluice: Sluice
  let postgres: Postgres
  let app: HttpApp
  let mine: Shown
  let theirs: Shown

  before(async () => {
    ;[postgres, app] = await Promise.all([startPostgres(), startHttpApp()])
    sluice = await startSluice({
      users: [alice, bob, dana],
      targets: [postgresTarget("orders", postgres), httpTarget("app", app)],
    })
    for (const target of ["orders", "app"]) await sluice.grant(alice, target, { by: bob, for: "1h" })
    ;[mine, theirs] = [await certified(alice), await certified(bob)]
  })
  after(async () => {
    await sluice.stop()
    await Promise.all([postgres.stop(), app.stop()])
  })

  let count = 0
  async function certified(person: Person): Promise<Shown> {
    const { keyFile, csr: request } = await csr()
    const { certificate } = await sluice.api(person).call("certificates", { body: { csr: request } })
    const cert = join(folder, `${++count}.crt`)
    writeFileSync(cert, certificate ?? "")
    return { cert, key: keyFile }
  }

  /** Somebody else's CA that copies our names: the same issuer, the same claim. */
  async function forged(): Promise<Shown> {
    const issuer = await must("openssl", ["x509", "-in", mine.cert, "-noout", "-issuer", "-nameopt", "compat"])
    const name = /CN ?= ?(.*)/.exec(issuer)?.[1]?.trim() ?? ""
    const file = (end: string): string => join(folder, `forged.${end}`)
    const { keyFile, csr: request } = await csr()
    writeFileSync(file("csr"), request)
    writeFileSync(file("ext"), "subjectAltName=critical,URI:sluice:alice%40example.com\nextendedKeyUsage=clientAuth\n")
    const ca = ["-keyout", file("ca.key"), "-out", file("ca.crt")]
    await must("openssl", ["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", `/CN=${name}`, ...ca])
    const signed = ["-CA", file("ca.crt"), "-CAkey", file("ca.key"), "-CAcreateserial", "-extfile", file("ext"), "-out", file("crt")]
    await must("openssl", ["x509", "-req", "-in", file("csr"), ...signed])
    return { cert: file("crt"), key: keyFile }
  }

  const psql = (shown: Shown | undefined, more = "", env: Record<string, string> = {}): Promise<Ran> => {
    const where = `host=${gatewayName} hostaddr=127.0.0.1 port=${sluice.port("postgres")} dbname=orders user=${postgres.role}`
    const certificate = shown ? `sslcert=${shown.cert} sslkey=${shown.key}` : ""
    const args = [`${where} sslmode=verify-full sslrootcert=${sluice.caFile} ${certificate} ${more}`, "-X", "-w", "-Atc", "SELECT 6*7"]
    return run("psql", args, { env: { HOME: folder, ...env } })
  }

  const curl = (shown: Shown | undefined, more: readonly string[] = []): Promise<Ran> => {
    const host = `app.${gatewayName}`
    const port = sluice.port("http")
    const given = shown ? ["--cert", shown.cert, "--key", shown.key] : []
    const trust = ["--resolve", `${host}:${port}:127.0.0.1`, "--cacert", sluice.caFile]
    return run("curl", ["-sS", ...trust, ...given, ...more, `https://${host}:${port}/echo`])
  }

  test("psql logs in with one, and no password is asked for; the record says by which", async () => {
    const before = new Set(sluice.recorded())
    const ran = await psql(mine)
    assert.equal(ran.stdout, "42\n", ran.stderr)
    const [id] = sluice.recorded().filter((one) => !before.has(one))
    const [header] = sluice.recording(id ?? "")
    assert(header?.kind === "session")
    assert.equal(header.subject, alice.name)
    assert.match(header.via, /^client certificate SHA256:\S+, serial [0-9a-f]+$/)
  })

  test("somebody who has no grant is told so, in the words that everybody gets", async () => {
    const ran = await psql(theirs)
    assert.equal(ran.status, 2)
    assert.match(ran.stderr, /you have no access to this target now\. Ask for it: ssh gateway request orders/)
  })

  test("a certificate of a stranger's CA is refused, also with a good password beside it", async () => {
    const token = await sluice.token(alice, "orders")
    const ran = await psql(await forged(), "", { PGPASSWORD: token })
    assert.equal(ran.status, 2)
    assert.match(ran.stderr, /sluice: the certificate is not one that is taken here, or it has ended\. Get a new one: sluice login/)
    assert.match(sluice.log(), /no CA that is trusted here signed it/)
  })

  test("without a certificate the password is what counts, as before", async () => {
    const ran = await psql(undefined, "", { PGPASSWORD: await sluice.token(alice, "orders") })
    assert.equal(ran.stdout, "42\n", ran.stderr)
    assert.match((await psql(undefined)).stderr, /no password supplied/)
  })

  test("direct TLS takes it too, and a resumed TLS session is still the same person's", async () => {
    const begin = (session?: Buffer): Promise<{ reused: boolean; ticket: Buffer; first: string }> =>
      new Promise((resolve, reject) => {
        const socket = connect({
          host: "127.0.0.1",
          port: sluice.port("postgres"),
          servername: gatewayName,
          ca: readFileSync(sluice.caFile),
          cert: readFileSync(mine.cert),
          key: readFileSync(mine.key),
          ALPNProtocols: ["postgresql"],
          ...(session ? { session } : {}),
        })
        let ticket = Buffer.alloc(0)
        socket.on("session", (given) => (ticket = given))
        socket.once("secureConnect", () => {
          const words = Buffer.from(`user\0${postgres.role}\0database\0orders\0\0`)
          const head = Buffer.alloc(8)
          head.writeInt32BE(8 + words.length, 0)
          head.writeInt32BE(196_608, 4)
          socket.write(Buffer.concat([head, words]))
        })
        socket.once("error", reject)
        socket.once("data", (data) => {
          resolve({ reused: socket.isSessionReused(), ticket, first: data.toString("latin1", 0, 1) + String(data.readInt32BE(5)) })
          socket.end()
        })
      })
    const one = await begin()
    assert.deepEqual([one.reused, one.first], [false, "R0"])
    const two = await begin(one.ticket)
    assert.deepEqual([two.reused, two.first], [true, "R0"])
  })

  test("curl gets through with one, and the application is told who it is", async () => {
    const ran = await curl(mine)
    const seen = JSON.parse(ran.stdout) as { headers: Record<string, string> }
    assert.equal(seen.headers["x-sluice-subject"], alice.name)
  })

  test("curl: a stranger's certificate and one beside another person's token are refused", async () => {
    const status = ["-o", "/dev/null", "-w", "%{http_code}"]
    assert.equal((await curl(await forged(), status)).stdout, "401")
    const bearer = ["-H", `Authorization: Bearer ${await sluice.token(alice, "app")}`]
    assert.equal((await curl(await forged(), [...bearer, ...status])).stdout, "401")
    assert.equal((await curl(theirs, [...bearer, ...status])).stdout, "401")
    assert.equal((await curl(mine, [...bearer, ...status])).stdout, "200")
    assert.equal((await curl(undefined, status)).stdout, "401")
  })

  test("a page of another site cannot spend one: a browser shows it whoever sends the form or opens the WebSocket", async () => {
    const status = ["-o", "/dev/null", "-w", "%{http_code}"]
    const own = `https://app.${gatewayName}:${sluice.port("http")}`
    const send = async (headers: readonly string[], more: readonly string[] = ["-X", "POST", "-d", "a=b"]): Promise<string> =>
      (await curl(mine, [...status, ...more, ...headers.flatMap((header) => ["-H", header])])).stdout
    const elsewhere = ["Origin: https://evil.example", "Origin: null", `Origin: ${own}.evil.example`, "Sec-Fetch-Site: same-site"]
    for (const header of [...elsewhere, "Sec-Fetch-Site: cross-site"]) assert.equal(await send([header]), "403", header)
    const upgrade = ["Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13", "Sec-WebSocket-Key: eA=="]
    assert.equal(await send([...upgrade, "Origin: https://evil.example"], []), "403")
    for (const headers of [[], [`Origin: ${own}`], ["Sec-Fetch-Site: same-origin"], ["Sec-Fetch-Site: none"]])
      assert.equal(await send(headers), "200", headers.join())
    assert.equal(await send(["Origin: https://evil.example"], []), "200", "a GET is for looking")
  })

  test("after a rotation the old certificates and the new ones are good at once", async () => {
    await sluice.api(dana).call("rotate", { id: "client", body: { reason: "a test" } })
    const fresh = await certified(alice)
    for (const shown of [mine, fresh]) assert.equal((await psql(shown)).stdout, "42\n")
  })

  test("an SSH certificate of our own CA logs in, and so does one after a rotation", async () => {
    const login = async (): Promise<Ran> => {
      const file = join(folder, `id_${++count}`)
      const made = generateOpensshKey("a login's key")
      writeFileSync(file, made.private.reveal(), { mode: 0o600 })
      const { ssh_certificate } = await sluice.api(alice).call("certificates", { body: { ssh_public_key: made.public } })
      writeFileSync(`${file}-cert.pub`, `${ssh_certificate}\n`)
      const options = ["IdentitiesOnly=yes", "IdentityAgent=none", "StrictHostKeyChecking=no", "UserKnownHostsFile=/dev/null"]
      const set = options.flatMap((option) => ["-o", option])
      return run("ssh", ["-F", "none", "-i", file, ...set, "-p", String(sluice.port("ssh")), "x@127.0.0.1", "whoami"])
    }
    assert.match((await login()).stdout, /^alice@example\.com \(engineers\)/)
    await sluice.api(dana).call("rotate", { id: "ssh-user", body: {} })
    assert.match((await login()).stdout, /^alice@example\.com \(engineers\)/)
  })
})
