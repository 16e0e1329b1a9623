// The first bytes of a PostgreSQL connection, said by hand where no client would say them, and the refusals people read in psql.
import assert from "node:assert/strict"
import { readFileSync } from "node:fs"
import { connect, type Socket } from "node:net"
import type { Duplex } from "node:stream"
import { after, before, suite, test } from "node:test"
import { connect as tlsConnect } from "node:tls"
import {
  cancelRequest,
  code_gss,
  int32,
  message,
  protocol_3_0,
  protocol_3_2,
  sslRequest,
  startupMessage,
  untyped,
} from "../../protocols/postgres/codec.ts"
import { psql } from "../support/clients.ts"
import { type People, people } from "../support/people.ts"
import { type Postgres, startPostgres } from "../support/postgres.ts"
import { launch, run } from "../support/run.ts"
import { type Sluice, startSluice } from "../support/sluice.ts"
import { gatewayName, postgresTarget } from "../support/sluice_config.ts"
import { needs } from "../support/tools.ts"
import { eventually } from "../support/wait.ts"

/** A client that says bytes and reads messages. */
class Raw {
  readonly stream: Duplex
  #heard = Buffer.alloc(0)
  #over = false

  constructor(stream: Duplex) {
    this.stream = stream
    stream.on("data", (chunk: Buffer) => (this.#heard = Buffer.concat([this.#heard, chunk])))
    stream.on("close", () => (this.#over = true)).on("end", () => (this.#over = true))
    stream.on("error", () => {})
  }

  say(...parts: readonly Buffer[]): this {
    this.stream.write(Buffer.concat(parts))
    return this
  }

  async byte(): Promise<string> {
    await eventually("a byte", () => this.#heard.length > 0 || this.#over)
    const byte = this.#heard.toString("latin1", 0, 1)
    this.#heard = this.#heard.subarray(1)
    return byte
  }

  /** Messages up to one of type `until`, or to the end. */
  async until(until: string): Promise<{ type: string; body: Buffer }[]> {
    const found: { type: string; body: Buffer }[] = []
    while (found.at(-1)?.type !== until) {
      const whole = () => this.#heard.length >= 5 && this.#heard.length > this.#heard.readInt32BE(1)
      await eventually(`message ${until}`, () => whole() || this.#over)
      if (!whole()) break
      const size = this.#heard.readInt32BE(1) + 1
      found.push({ type: this.#heard.toString("latin1", 0, 1), body: this.#heard.subarray(5, size) })
      this.#heard = this.#heard.subarray(size)
    }
    return found
  }

  /** All it says until it closes. */
  async rest(): Promise<string> {
    await eventually("the connection to close", () => this.#over)
    return this.#heard.toString("latin1")
  }
}

suite("the start of a PostgreSQL connection", { skip: needs("psql", "openssl"), concurrency: 1 }, () => {
  const { alice, bob, dana }: People = people()
  let postgres: Postgres
  let sluice: Sluice

  before(async () => {
    postgres = await startPostgres()
    const wrong = { roles: { [postgres.role]: { password: `file:${import.meta.filename}` } } }
    const open = { roles: { [postgres.role]: {} } }
    const targets = [
      postgresTarget("orders", postgres),
      postgresTarget("wrong-password", postgres, wrong),
      postgresTarget("no-password", postgres, open),
      postgresTarget("no-tls", postgres, { tls: "require" }),
      postgresTarget("nobody-there", postgres, { address: "127.0.0.1:1" }),
      postgresTarget("no-database", postgres, { database: "not_there" }),
    ]
    sluice = await startSluice({ users: [alice, bob, dana], targets })
    for (const { name } of targets as { name: string }[]) await sluice.grant(alice, name, { by: bob, for: "1h" })
  })
  after(async () => {
    await sluice?.stop()
    await postgres?.stop()
  })

  const raw = (): Raw => new Raw(socket())
  const socket = (): Socket => connect({ host: "127.0.0.1", port: sluice.port("postgres"), noDelay: true })
  const startup = (version = protocol_3_0, more: readonly (readonly [string, string])[] = []) =>
    startupMessage(version, [["user", postgres.role], ["database", "orders"], ...more])
  const logIn = async (client: Raw, version = protocol_3_0, more: readonly (readonly [string, string])[] = []) => {
    client.say(startup(version, more))
    const asked = await client.until("R")
    client.say(message("p", await sluice.token(alice, "orders")))
    return [...asked, ...(await client.until("Z"))]
  }
  const types = (messages: readonly { type: string }[]) => messages.map(({ type }) => type).join("")
  const direct = (alpn: string[]) =>
    new Raw(
      tlsConnect({
        host: "127.0.0.1",
        port: sluice.port("postgres"),
        servername: gatewayName,
        ca: readFileSync(sluice.caFile),
        ...(alpn.length > 0 ? { ALPNProtocols: alpn } : {}),
      }),
    )

  test("bytes sent with the request for encryption are never read as if they had come encrypted", async () => {
    const client = raw().say(sslRequest(), startup())
    const words = await client.rest()
    assert.ok(!words.startsWith("S"), words)
    assert.match(words, /08P01/)
  })

  test("TLS is offered once and GSS is declined once, in either order, and neither twice", async () => {
    const gss = untyped(int32(code_gss))
    const client = raw().say(gss)
    assert.equal(await client.byte(), "N")
    assert.match(types(await logIn(client)), /^RR.*KZ$/)
    const twice = raw().say(gss)
    assert.equal(await twice.byte(), "N")
    assert.match(await twice.say(gss).rest(), /08P01/)
    const plain = socket()
    plain.write(sslRequest())
    assert.equal(await new Promise((resolve) => plain.once("data", (byte) => resolve(byte.toString()))), "S")
    plain.removeAllListeners("data")
    const inside = new Raw(tlsConnect({ socket: plain, servername: gatewayName, ca: readFileSync(sluice.caFile) }))
    assert.match(await inside.say(sslRequest()).rest(), /08P01/)
  })

  test("direct TLS works with ALPN postgresql, and not without", async () => {
    assert.match(types(await logIn(direct(["postgresql"]))), /^RR.*KZ$/)
    assert.match(await direct([]).say(startup()).rest(), /08P01/)
    assert.equal(await direct(["http/1.1"]).say(startup()).rest(), "")
  })

  test("protocol 3.2 has a long cancel key; a version or option we do not know is negotiated down", async () => {
    const modern = await logIn(raw(), protocol_3_2)
    assert.equal(modern.find(({ type }) => type === "K")?.body.length, 4 + 32)
    const old = await logIn(raw(), protocol_3_0)
    assert.equal(old.find(({ type }) => type === "K")?.body.length, 4 + 4)
    const [first] = await logIn(raw(), protocol_3_0 + 9_999, [["_pq_.grease", "1"]])
    assert.equal(first?.type, "v")
    assert.deepEqual([first?.body.readInt32BE(0), first?.body.readInt32BE(4)], [protocol_3_2, 1])
    assert.equal(first?.body.toString("latin1", 8), "_pq_.grease\0")
  })

  test("a cancel key that was guessed does nothing, is not answered, and the right one cancels", async () => {
    const client = raw()
    const key = (await logIn(client, protocol_3_2)).find(({ type }) => type === "K")?.body as Buffer
    client.say(message("Q", "SELECT pg_sleep(615)"))
    const runs = async () => (await postgres.active()).some(({ query }) => query.includes("615"))
    await eventually("the query to run", runs)
    const pid = key.readInt32BE(0)
    assert.equal(
      await raw()
        .say(cancelRequest({ pid, secret: Buffer.alloc(32) }))
        .rest(),
      "",
    )
    assert.equal(
      await raw()
        .say(cancelRequest({ pid, secret: key.subarray(4, 8) }))
        .rest(),
      "",
    )
    const [row] = await postgres.admin("SELECT pid FROM pg_stat_activity WHERE query LIKE '%615%' AND pid <> pg_backend_pid()")
    assert.equal(
      await raw()
        .say(cancelRequest({ pid: Number(row?.["pid"]), secret: key.subarray(4) }))
        .rest(),
      "",
    )
    assert.ok(await runs())
    assert.equal(
      await raw()
        .say(cancelRequest({ pid, secret: key.subarray(4) }))
        .rest(),
      "",
    )
    assert.match(types(await client.until("Z")), /EZ$/)
    assert.ok(!(await runs()))
  })

  test("an unknown target, a forbidden one and another role read the same; who is in reads which databases there are", async () => {
    const words = async (person: typeof alice, database: string, user = postgres.role) => {
      const [program, args] = await psql({ sluice, person, target: database }, user)
      const PGPASSWORD = await sluice.token(person)
      const { stderr, status } = await run(program, [...args, "-c", "SELECT 1"], { env: { PGPASSWORD } })
      assert.equal(status, 2)
      return stderr
        .replace(/port \d+/, "port")
        .replaceAll(database.split("/")[0] as string, "TARGET")
        .replaceAll(user, "ROLE")
    }
    const refused = await words(alice, "no-such-target")
    assert.match(
      refused,
      /FATAL: {2}sluice: you have no access to this target now\. Ask for it: ssh gateway request TARGET[^\n]*\n(?!HINT)/,
    )
    assert.equal(await words(dana, "orders"), refused)
    assert.equal(await words(alice, "orders", "postgres"), refused)
    assert.equal((await words(dana, "orders/postgres")).replaceAll("TARGET/postgres", "TARGET"), refused)
    assert.match(
      await words(alice, "orders/postgres", postgres.role),
      /FATAL: {2}sluice: another database on this target than "\w+" is not supported\n/,
    )
    assert.equal(
      (await run(...(await psql({ sluice, person: alice, target: "orders/orders" }, postgres.role, ["-tAc", "SELECT 'in'"])))).status,
      2,
    )
  })

  test("a wrong token is refused before anything else is said", async () => {
    const [program, args] = await psql({ sluice, person: alice, target: "orders" }, postgres.role, ["-c", "SELECT 1"])
    for (const token of ["", "nonsense", await sluice.token(alice, "another-target")]) {
      const { stderr } = await run(program, [...args, "-w"], { env: { PGPASSWORD: token || " " } })
      assert.match(stderr, /FATAL: {2}sluice: authentication failed\n/)
    }
  })

  test("what the target's side did wrong has its own words for the user, and its cause in the log only", async () => {
    const read = async (target: string) =>
      (await run(...(await psql({ sluice, person: alice, target }, postgres.role, ["-c", "SELECT 1"])))).stderr
    assert.match(await read("wrong-password"), /FATAL: {2}sluice: the target did not accept the gateway's credentials \[s_\w+\]/)
    assert.match(await read("no-password"), /the target did not accept the gateway's credentials/)
    assert.match(await read("no-tls"), /the target could not prove that it is the one it should be/)
    assert.match(await read("nobody-there"), /the target does not answer/)
    assert.match(await read("no-database"), /the target closed or broke the connection/)
    for (const cause of ["28P01: password authentication failed", "does not offer TLS", "3D000: database"]) {
      await eventually(`the log to say ${cause}`, () => sluice.log().includes(cause))
    }
  })

  test("a pipeline whose meaning hangs on an earlier round waits for it and goes on by itself; what ran is what is on record", async () => {
    const client = raw()
    await logIn(client)
    const parse = (sql: string, name = "") => message("P", name, sql, Buffer.alloc(2))
    const run = Buffer.concat([message("B", "", "", Buffer.alloc(6)), message("E", "", int32(0))])
    const sync = message("S")
    client.say(parse("SELECT 'old meaning'"), sync)
    await client.until("Z")
    client.say(parse("nonsense", "other"), parse("SELECT 'new meaning'"), sync, run, sync, parse("SELECT 'last'"), run, sync)
    const answers = [...(await client.until("Z")), ...(await client.until("Z")), ...(await client.until("Z"))]
    assert.equal(types(answers), "EZ2DCZ12DCZ")
    assert.match(String(answers[3]?.body), /old meaning/)
    client.stream.destroy()
    const ran = await eventually("the recording", () =>
      sluice
        .recorded()
        .map((id) => sluice.recording(id).flatMap((line) => (line.kind === "action" && "sql" in line.action ? [line.action.sql] : [])))
        .find((texts) => texts.includes("SELECT 'last'")),
    )
    assert.deepEqual(ran, ["SELECT 'old meaning'", "SELECT 'last'"])
  })

  test("a client that leaves while what it sent waits for an answer is seen to leave, and what runs for it ends", async () => {
    const client = raw()
    await logIn(client)
    client.say(message("Q", "SELECT pg_sleep(614)"), message("Q", "SELECT 'waits: \u00e9'"))
    const runs = async () => (await postgres.active()).some(({ query }) => query.includes("614"))
    await eventually("the query to run", runs)
    client.stream.destroy()
    await eventually("the query to be gone", async () => !(await runs()))
    const texts = sluice.recorded().flatMap((id) => sluice.recording(id).map((line) => JSON.stringify(line)))
    assert(!texts.some((text) => text.includes("waits: \u00e9")), "it has never run")
  })

  test("a pipeline far longer than what is kept in mind comes through whole", async () => {
    const client = raw()
    await logIn(client)
    const one = Buffer.concat([message("B", "", "s", Buffer.alloc(6)), message("E", "", int32(0))])
    client.say(message("P", "s", "SELECT 1", Buffer.alloc(2)))
    for (let batch = 0; batch < 30; batch++) client.say(...Array.from({ length: 1_000 }, () => one))
    client.say(message("S"))
    const answers = types(await client.until("Z"))
    assert.equal(answers.length, 1 + 3 * 30_000 + 1)
    client.stream.destroy()
  })

  test("garbage after the login ends that session with 08P01, on record", async () => {
    const client = raw()
    await logIn(client)
    client.say(message("?", "what"))
    assert.match(types(await client.until("E")), /E$/)
    await client.rest()
    await eventually("the refusal on record", () =>
      sluice.recorded().some((id) => sluice.recording(id).some(({ kind }) => kind === "refused")),
    )
  })

  test("silent clients at every stage stall nobody", async () => {
    const silent = Array.from({ length: 30 }, () => raw())
    for (const client of silent.slice(10)) client.say(Buffer.from([0, 0, 0]))
    for (const client of silent.slice(20)) client.say(Buffer.from([80, 0, 3, 0, 0]))
    const program = launch(...(await psql({ sluice, person: alice, target: "orders" }, postgres.role, ["-tAc", "SELECT 'in'"])))
    assert.equal((await program.ended).stdout, "in\n")
    for (const { stream } of silent) stream.destroy()
  })

  test("a server that takes no more connections is said to, with 57P03 and no cause, and those inside stay", async () => {
    const program = launch(...(await psql({ sluice, person: alice, target: "orders" }, postgres.role, ["-At"])))
    program.type("SELECT 'inside';\n")
    await eventually("the session", () => program.stdout === "inside\n")
    await postgres.admin(`ALTER ROLE ${postgres.role} CONNECTION LIMIT 1`)
    try {
      const { stderr } = await run(...(await psql({ sluice, person: alice, target: "orders" }, postgres.role, ["-c", "SELECT 1"])))
      assert.match(stderr, /FATAL: {2}sluice: the target takes no more connections now; try again in a moment \[s_\w+\]\n/)
      await eventually("the log to say why", () => sluice.log().includes("53300: too many connections for role"))
    } finally {
      await postgres.admin(`ALTER ROLE ${postgres.role} CONNECTION LIMIT -1`)
    }
    program.type("SELECT 'still';\n")
    program.closeInput()
    assert.equal((await program.ended).stdout, "inside\nstill\n")
  })

  test("a server that crashes ends its sessions, what became of them is on record, and the next one is let in when it is back", async () => {
    const known = sluice.recorded()
    const program = launch(...(await psql({ sluice, person: alice, target: "orders" }, postgres.role, ["-At"])))
    program.type("SELECT pg_sleep(600);\n")
    await eventually("the query", async () => (await postgres.active()).some(({ query }) => query.includes("pg_sleep(600)")))
    await postgres.restart()
    program.closeInput()
    assert.match(
      (await program.ended).stderr,
      /server closed the connection|terminating connection|the target closed or broke the connection/,
    )
    const id = sluice.recorded().find((one) => !known.includes(one)) as string
    const outcome = await eventually("the outcome", () => sluice.recording(id).find(({ kind }) => kind === "outcome"))
    assert.ok(outcome.kind === "outcome" && (outcome.status === "lost" || outcome.sqlstate === "57P02"))
    const again = await run(...(await psql({ sluice, person: alice, target: "orders" }, postgres.role, ["-tAc", "SELECT 'back'"])))
    assert.equal(again.stdout, "back\n", again.stderr)
  })
})
