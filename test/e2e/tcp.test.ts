// TCP targets, reached with stock ssh: `ssh -N -L` and `ssh -W` at the gateway, each connection a session of its own.
import assert from "node:assert/strict"
import { after, before, suite, test } from "node:test"
import type { Line } from "../../src/record/events.ts"
import { Caller, callThrough, type Greeter, startGreeter } from "../support/greeter.ts"
import { type People, people } from "../support/people.ts"
import { answers, freePort } from "../support/port.ts"
import { launch, must, type Program, type Ran, run } from "../support/run.ts"
import { type Sluice, startSluice } from "../support/sluice.ts"
import { needs } from "../support/tools.ts"
import { eventually } from "../support/wait.ts"

suite("tcp targets", { skip: needs("ssh", "ssh-keygen"), concurrency: 1 }, () => {
  const { alice, bob, carol }: People = people()
  let redis: Greeter
  let sluice: Sluice

  before(async () => {
    redis = await startGreeter()
    const target = (name: string, address: string) => ({ name, labels: { env: "prod" }, tcp: { address } })
    sluice = await startSluice({
      users: [alice, bob, carol],
      targets: [target("redis", redis.at), target("forbidden", redis.at), target("down", "127.0.0.1:1"), target("held", redis.at)],
      policy: {
        access: [{ who: ["engineers"], targets: ["redis", "forbidden", "down", "held"], max: "8h", approve: { by: ["oncall"] } }],
        actions: [{ targets: "held", then: "hold" }],
      },
    })
    await sluice.grant(alice, "redis", { by: bob, for: "1h" })
    await sluice.grant(alice, "down", { by: bob, for: "1h" })
  })
  after(async () => {
    await sluice.stop()
    await redis.stop()
  })

  const through = (where: string, input = "hi\n"): Promise<Ran> => run("ssh", [...sluice.ssh(alice), "-W", where, "gateway"], { input })
  const recordings = (): Line[][] => sluice.recorded().map((id) => sluice.recording(id))
  const last = (): Line[] => recordings().reduce((a, b) => ((a[0]?.t ?? 0) > (b[0]?.t ?? 0) ? a : b))
  async function tunnel(person: typeof alice, ...options: string[]): Promise<{ port: number; program: Program }> {
    const port = await freePort()
    const program = launch("ssh", [...sluice.ssh(person), "-N", ...options, "-L", `${port}:redis:${redis.port}`, "gateway"])
    await eventually("ssh to listen", () => answers(port))
    return { port, program }
  }

  test("-W: the server speaks first, each half ends by itself, and bytes and time are on record, the content is not", async () => {
    const ran = await through(`redis:${redis.port}`)
    assert.deepEqual([ran.stdout, ran.status], ["hello\nhi\ngoodbye\n", 0], ran.stderr)
    const lines = await eventually("the end", () => (last().at(-1)?.kind === "end" ? last() : undefined))
    assert.deepEqual(
      lines.map((line) => (line.kind === "action" ? line.action.kind : line.kind)),
      ["session", "tcp.connect", "outcome", "end"],
    )
    const [header, , outcome] = lines
    assert.ok(header?.kind === "session" && outcome?.kind === "outcome")
    assert.deepEqual([header.protocol, header.target, header.as], ["tcp", "redis", null])
    assert.deepEqual([outcome.status, outcome.bytes_up, outcome.bytes_down], ["ok", 3, "hello\nhi\ngoodbye\n".length])
    assert.doesNotMatch(JSON.stringify(lines), /goodbye/)
    assert.ok((await sluice.sessions(alice)).some(({ id, protocol }) => id === header.id && protocol === "tcp"))
  })

  test("-L: each connection is a session", async () => {
    const before = recordings().length
    const { port, program } = await tunnel(alice)
    await eventually("the first, which only looked", () => recordings().length === before + 1 && redis.open() === 0)
    const said = await Promise.all(["1\n", "2\n", "3\n"].map((text) => callThrough(port, text)))
    assert.deepEqual(said, ["hello\n1\ngoodbye\n", "hello\n2\ngoodbye\n", "hello\n3\ngoodbye\n"])
    await program.stop()
    assert.equal(recordings().length, before + 4)
  })

  test("a client that goes away takes its connections along", async () => {
    const { port, program } = await tunnel(alice)
    const caller = new Caller(port)
    await caller.hears("hello\n")
    await program.stop("SIGKILL")
    await eventually("nobody to be connected", () => redis.open() === 0)
    await eventually("the session to be over", async () => (await sluice.sessions(alice, true)).length === 0)
  })

  test("unknown, forbidden, another port, and a place that is no target are one answer, with the line that asks", async () => {
    const served = redis.served()
    const asked = [`forbidden:${redis.port}`, `no-such-thing:${redis.port}`, `redis:${redis.port + 1}`]
    const words = await Promise.all(asked.map(async (where) => (await through(where)).stderr.replaceAll(where.split(":")[0] ?? "", "X")))
    assert.equal(new Set(words).size, 1, words.join("\n"))
    assert.match(
      words[0]!,
      /open failed: administratively prohibited: sluice: you have no access to this target now\. Ask for it: ssh gateway request X/,
    )
    assert.match((await through(`127.0.0.1:${redis.port}`)).stderr, /you have no access to this target now/)
    assert.equal(redis.served(), served)
  })

  test("a target that does not answer is told as one, and on record", async () => {
    const ran = await through("down:1")
    assert.match(ran.stderr, /open failed: connect failed: sluice: the target does not answer/)
    await eventually("the outcome", () => last().some((line) => line.kind === "outcome" && line.status === "error"))
  })

  test("a cut closes the connection, ssh -v shows why, and the next one is told", async () => {
    const grant = await sluice.grant(carol, "redis", { by: bob, for: "1h" })
    const { port, program } = await tunnel(carol, "-v")
    const caller = new Caller(port)
    await caller.hears("hello\n")
    await sluice.revoke(grant, bob)
    redis.say("AFTER\n")
    caller.socket.write("too late\n")
    await caller.closed
    await eventually("nobody to be connected", () => redis.open() === 0)
    await program.says(/sluice: your access to redis ended at .* revoked\)\. Ask again: ssh gateway request redis/)
    assert.equal(caller.text, "hello\n")
    assert.doesNotMatch(redis.heard(), /too late/)
    const next = new Caller(port)
    await next.closed
    await program.says(/open failed: administratively prohibited: sluice: you have no access to this target now/)
    assert.ok(program.running, "what else it carries goes on")
    await program.stop()
  })

  test("one that waits for somebody says so where ssh -v shows it, and leads nowhere before it is approved", async () => {
    await sluice.grant(alice, "held", { by: bob, for: "1h" })
    const called = launch("ssh", [...sluice.ssh(alice), "-v", "-W", `held:${redis.port}`, "gateway"], { input: "hi\n" })
    await called.says(/Remote: sluice: held: request \d+/)
    assert.equal(redis.open(), 0)
    const [request] = (await sluice.api(bob).call("requests", { query: { status: "pending" } })).requests
    await sluice.api(bob).call("approve", { id: request!.id, body: {} })
    assert.equal((await called.ended).stdout, "hello\nhi\ngoodbye\n")
  })

  test("asking shows the line that uses it; single actions cannot be asked for", async () => {
    const ssh = (person: typeof alice, ...words: string[]): string[] => [...sluice.ssh(person), "gateway", ...words]
    const asked = await must("ssh", ssh(carol, "request", "redis", "--for", "1h"))
    const [, number = ""] = /Request (\d+)/.exec(asked) ?? []
    await must("ssh", ssh(bob, "approve", number))
    const overview = await must("ssh", ssh(carol))
    assert.ok(overview.includes(`ssh -N -L ${redis.port}:redis:${redis.port} gateway`), overview)
    assert.match(await must("ssh", ssh(carol, "targets")), /redis +tcp/)
    assert.match(await must("ssh", ssh(carol, "ssh-config")), new RegExp(`# redis: ssh -N -L ${redis.port}:redis:${redis.port} gateway`))
    const no = await run("ssh", ssh(carol, "request", "redis", "--for", "1h", "--action", "GET"))
    assert.match(no.stderr, /what passes to a tcp target is not looked at/)
  })
})
