// Asking for access from within psql: by its options, with a NOTICE while it waits, and every way in which the waiting can end.
import assert from "node:assert/strict"
import { after, afterEach, before, suite, test } from "node:test"
import type { RequestView } from "../../src/api/schema.ts"
import { psql } from "../support/clients.ts"
import { type People, people } from "../support/people.ts"
import { type Postgres, startPostgres } from "../support/postgres.ts"
import { launch, type Program, type Ran, run } from "../support/run.ts"
import { type Sluice, startSluice } from "../support/sluice.ts"
import { type Section, postgresTarget } from "../support/sluice_config.ts"
import { needs } from "../support/tools.ts"
import { eventually } from "../support/wait.ts"

suite("psql: asking from within", { skip: needs("psql"), concurrency: 1 }, () => {
  const { alice, bob }: People = people()
  let postgres: Postgres
  let sluice: Sluice

  const named = (name: string, more: Section = {}): Section => ({ ...postgresTarget(name, postgres), ...more })
  const rule = { who: ["engineers"], max: "4h", approve: { by: ["oncall"] } }
  const policy = {
    access: [
      { ...rule, targets: "orders", reason: "required" },
      { ...rule, targets: ["plain", "unasked", "silent"] },
      { ...rule, targets: "open-house", approve: "auto" },
    ],
  }

  before(async () => {
    postgres = await startPostgres({ tls: true })
    const targets = [
      ...["orders", "plain", "open-house", "forbidden"].map((name) => named(name)),
      named("unasked", { ask: { wait: "10m", unasked: true } }),
      named("silent", { ask: "off" }),
    ]
    sluice = await startSluice({ users: [alice, bob], targets, policy })
  })
  after(async () => {
    await sluice.stop()
    await postgres.stop()
  })
  afterEach(async () => {
    for (const { id } of await pending()) await sluice.api(alice).call("withdraw", { id, body: {} })
    for (const { id } of (await sluice.api(alice).call("grants", { query: {} })).grants)
      await sluice.api(alice).call("drop", { id, body: {} })
  })

  const pending = async (): Promise<RequestView[]> => (await sluice.api(alice).call("requests", { query: { status: "pending" } })).requests
  const statusOf = async (id: number): Promise<string> => (await sluice.api(alice).call("request", { id, query: {} })).status
  const words = async (target: string, options: string | undefined) => {
    const [program, args, { env }] = await psql({ sluice, person: alice, target }, postgres.role, ["-tAc", "SELECT 'I am in'"])
    return [program, args, { env: { ...env, PGOPTIONS: options } }] as const
  }
  const finish = async (target: string, options?: string): Promise<Ran> => run(...(await words(target, options)))
  const begin = async (target: string, options?: string): Promise<Program> => launch(...(await words(target, options)))
  const noticed = async (program: Program): Promise<number> => Number((await program.says(/NOTICE: {2}sluice: Request (\d+) for/))[1])

  test("with a reason it asks, shows the number and the link while it waits, and is in when it is approved", async () => {
    const program = await begin("orders", String.raw`-c sluice.reason=INC-7:\ pods\ crash -c sluice.for=20m`)
    const id = await noticed(program)
    assert.match(
      program.stderr,
      new RegExp(
        String.raw`Request ${id} for orders as ${postgres.role}, 20m\. To be approved by oncall\.\n.*/requests/${id}\nWaiting for a decision; Ctrl-C takes the request back\.`,
      ),
    )
    const request = await sluice.api(bob).call("approve", { id, body: {} })
    assert.deepEqual([request.reason, request.duration_ms, request.as], ["INC-7: pods crash", 1_200_000, [postgres.role]])
    const { stdout, status, stderr } = await program.ended
    assert.deepEqual([stdout, status], ["I am in\n", 0], stderr)
    const [session] = await sluice.sessions(alice)
    const recording = sluice.recording(session!.id)
    assert.equal((recording[0] as unknown as { request: number }).request, id)
    assert.doesNotMatch(JSON.stringify(recording), /sluice\.reason/, "what was meant for the gateway is not sent on")
  })

  test("denied, it reads the words, escaped", async () => {
    const program = await begin("orders", "-c sluice.reason=please")
    await sluice.api(bob).call("deny", { id: await noticed(program), body: { reason: "not \\today" } })
    const { stderr, status } = await program.ended
    assert.match(stderr, /FATAL: {2}sluice: request \d+ was denied by bob@example\.com: not \\\\today/)
    assert.equal(status, 2)
  })

  test("who leaves takes it back", async () => {
    const program = await begin("orders", "-c sluice.reason=please")
    const id = await noticed(program)
    await program.stop("SIGINT")
    await eventually("the request to be withdrawn", async () => (await statusOf(id)) === "withdrawn")
  })

  test("twenty that ask the same wait for one request; it goes with the last of them", async () => {
    const programs = await Promise.all(Array.from({ length: 20 }, () => begin("orders", "-c sluice.reason=please")))
    const ids = new Set(await Promise.all(programs.map(noticed)))
    assert.equal(ids.size, 1)
    const [id = 0] = ids
    const [last, ...others] = programs
    await Promise.all(others.map((program) => program.stop("SIGINT")))
    assert.equal(await statusOf(id), "pending")
    await last!.stop("SIGINT")
    await eventually("the request to be withdrawn", async () => (await statusOf(id)) === "withdrawn")
  })

  test("twenty that ask the same are all let in by one approval", async () => {
    const programs = await Promise.all(Array.from({ length: 20 }, () => begin("orders", "-c sluice.reason=please")))
    const [id = 0] = await Promise.all(programs.map(noticed))
    await sluice.api(bob).call("approve", { id, body: {} })
    for (const { stdout, stderr } of await Promise.all(programs.map((program) => program.ended))) assert.equal(stdout, "I am in\n", stderr)
  })

  test("without a reason it is refused at once, with the line that asks and the way to ask from here, whether one is needed or not", async () => {
    for (const target of ["orders", "plain"]) {
      const { stderr, status } = await finish(target)
      assert.match(
        stderr,
        new RegExp(`Ask for it: ssh gateway request ${target} [^\n]*, or from here, and wait: PGOPTIONS='-c sluice\\.reason=INC-7'`),
      )
      assert.equal(status, 2)
    }
    assert.deepEqual(await pending(), [])
  })

  test("a target that says so asks for who says nothing, where no reason is wanted", async () => {
    const program = await begin("unasked")
    await sluice.api(bob).call("approve", { id: await noticed(program), body: {} })
    assert.equal((await program.ended).stdout, "I am in\n")
  })

  test("a rule that gives it by itself and wants to know nothing is not in anybody's way", async () => {
    const { stdout, stderr } = await finish("open-house")
    assert.deepEqual([stdout, stderr], ["I am in\n", ""])
  })

  test("what cannot be asked is said, and nothing is filed", async () => {
    for (const [options, said] of [
      ["-c sluice.reason=x -c sluice.for=soon", /sluice\.for is a duration/],
      ["-c sluice.reason=x -c sluice.for=9h", /at most 4h/],
      ["-c sluice.reason=\u202ex", /a reason is plain words/],
      ["-c sluice.raeson=x", /the option sluice\.raeson is not supported/],
    ] as const)
      assert.match((await finish("orders", options)).stderr, said)
    assert.deepEqual(await pending(), [])
  })

  test("what may not be asked for here reads like what is not there, with a reason or without", async () => {
    for (const options of [undefined, "-c sluice.reason=please"]) {
      const answers = await Promise.all(
        ["forbidden", "no-such-thing", "silent"].map(async (name) =>
          (await finish(name, options)).stderr.replaceAll(name, "X").replaceAll(/port \d+/g, "port"),
        ),
      )
      assert.match(answers[0]!, /you have no access to this target now/)
      for (const one of answers) assert.equal(one, answers[0])
    }
  })

  test("a reason beside a grant changes nothing", async () => {
    await sluice.grant(alice, "orders", { by: bob, for: "1h" })
    assert.equal((await finish("orders", "-c sluice.reason=please")).stdout, "I am in\n")
    assert.deepEqual(await pending(), [])
  })

  test("a gateway that shuts down says so to those who wait, and their request waits on", async () => {
    const folder = sluice.folder
    const program = await begin("orders", "-c sluice.reason=please")
    const id = await noticed(program)
    await sluice.stop()
    const { stderr } = await program.ended
    assert.match(stderr, /FATAL: {2}sluice: the gateway is shutting down/)
    const targets = ["orders", "plain", "unasked", "silent", "open-house", "forbidden"].map((name) => named(name))
    sluice = await startSluice({ users: [alice, bob], targets, policy, folder })
    assert.equal(await statusOf(id), "pending")
    const again = await begin("orders", "-c sluice.reason=please")
    assert.equal(await noticed(again), id)
    await sluice.api(bob).call("approve", { id, body: {} })
    assert.equal((await again.ended).stdout, "I am in\n")
  })
})
