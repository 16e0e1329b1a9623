// psql 18's own login (OAUTHBEARER), step by step as libpq takes it: the machine's psql is older, so its part is played here, over
// real TLS and HTTPS and with nothing known but the gateway's address and its CA.
import assert from "node:assert/strict"
import { readFileSync } from "node:fs"
import { connect } from "node:net"
import { after, before, suite, test } from "node:test"
import { type TLSSocket, connect as tlsConnect } from "node:tls"
import { Agent, request } from "undici"
import { int32, message, protocol_3_0, sslRequest, startupMessage } from "../../protocols/postgres/codec.ts"
import { type People, people } from "../support/people.ts"
import { type Postgres, startPostgres } from "../support/postgres.ts"
import { type Sluice, startSluice } from "../support/sluice.ts"
import { gatewayName, postgresTarget } from "../support/sluice_config.ts"
import { eventually } from "../support/wait.ts"
import { query } from "../unit/postgres/dialogue.ts"

suite("PostgreSQL: login by OAuth", { concurrency: 1 }, () => {
  const { alice, bob }: People = people()
  let postgres: Postgres
  let sluice: Sluice

  before(async () => {
    postgres = await startPostgres()
    const approvals = { public_url: `https://${gatewayName}:8443` } // libpq talks HTTPS alone
    sluice = await startSluice({ users: [alice, bob], targets: [postgresTarget("orders", postgres)], approvals })
    await sluice.grant(alice, "orders", { by: bob, for: "1h" })
  })
  after(async () => {
    await sluice?.stop()
    await postgres?.stop()
  })

  /** One connection of libpq's, which shows `token`; what it heard after the handshake. */
  const logIn = async (token: string): Promise<{ client: TLSSocket; heard(): string }> => {
    const plain = connect({ host: "127.0.0.1", port: sluice.port("postgres"), noDelay: true })
    plain.write(sslRequest())
    assert.equal(String(await new Promise((resolve) => plain.once("data", resolve))), "S")
    const client = tlsConnect({ socket: plain, ca: readFileSync(sluice.caFile), servername: gatewayName })
    let heard = ""
    client.on("error", () => {}).on("data", (chunk: Buffer) => (heard += chunk.toString("latin1")))
    client.write(
      startupMessage(protocol_3_0, [
        ["user", postgres.role],
        ["database", "orders"],
        ["options", "-c sluice.login=oauth"],
      ]),
    )
    await eventually("OAUTHBEARER to be offered", () => heard.includes("OAUTHBEARER\0\0"))
    const response = Buffer.from(`n,,\u0001auth=${token === "" ? "" : `Bearer ${token}`}\u0001\u0001`)
    client.write(message("p", "OAUTHBEARER", int32(response.length), response))
    return { client, heard: () => heard }
  }

  const refusal = async (token: string): Promise<{ where: Record<string, string>; end: string }> => {
    const { client, heard } = await logIn(token)
    const [json] = await eventually("word of where a token is to be had", () => /\{.*\}/.exec(heard()) ?? undefined)
    client.write(message("p", Buffer.from("\u0001")))
    await eventually("the end", () => client.closed)
    return { where: JSON.parse(json) as Record<string, string>, end: heard().slice(heard().indexOf(json) + json.length) }
  }

  test("without a token, or with a bad one, a client is told where to get one, and then refused", async () => {
    for (const token of ["", "not.a.token", await sluice.token(alice, "other")]) {
      const { where, end } = await refusal(token)
      assert.deepEqual(where["status"], "invalid_token")
      assert.match(where["openid-configuration"] ?? "", new RegExp(`^https://${gatewayName}:\\d+/\\.well-known/openid-configuration$`))
      assert.match(end, /^E[\s\S]*FATAL[\s\S]*sluice: authentication failed/)
    }
  })

  test("the place it is told of is the gateway's, and there is a code for its person to type", async () => {
    const { where } = await refusal("")
    const url = new URL(where["openid-configuration"] ?? "")
    const dispatcher = new Agent({
      connect: { ca: readFileSync(sluice.caFile), lookup: (_name, _options, done) => done(null, [{ address: "127.0.0.1", family: 4 }]) },
    })
    url.port = String(sluice.port("http")) // the test's gateway listens where there was room
    const found = (await (await request(url, { dispatcher })).body.json()) as Record<string, string>
    assert.equal(`${found["issuer"]}/.well-known/openid-configuration`, where["openid-configuration"], "libpq compares them")
    const begin = new URL(found["device_authorization_endpoint"] ?? "")
    begin.port = url.port
    const form = { method: "POST" as const, headers: { "content-type": "application/x-www-form-urlencoded" }, body: "client_id=psql" }
    const begun = (await (await request(begin, { ...form, dispatcher })).body.json()) as Record<string, string>
    assert.match(begun["user_code"] ?? "", /^[A-Z]{4}-[A-Z]{4}$/)
    assert.match(begun["verification_uri"] ?? "", /^https:\/\/.*\/device$/)
    await dispatcher.close()
  })

  test("with a token it is in, as itself and on record", async () => {
    const { client, heard } = await logIn(await sluice.token(alice))
    await eventually("the login", () => heard().endsWith("Z\0\0\0\u0005I"))
    client.write(query("SELECT 'by oauth'"))
    await eventually("the answer", () => heard().includes("SELECT 1\0"))
    client.destroy()
    const [session] = await sluice.sessions(alice)
    assert.equal(session?.subject, alice.name)
    assert(sluice.recording(session.id).some((line) => line.kind === "action" && JSON.stringify(line.action).includes("by oauth")))
  })
})
