// The two commands of the README: what `npm start` starts, and whether the lines that it prints do what they say when they are pasted
// one after the other. Moved to ports and a folder of its own; otherwise as a newcomer has it.
import assert from "node:assert/strict"
import { existsSync, writeFileSync } from "node:fs"
import { after, before, suite, test } from "node:test"
import { join } from "node:path"
import { onFreePort } from "../support/port.ts"
import { type Program, type Ran, launch, run } from "../support/run.ts"
import { scratch } from "../support/scratch.ts"
import { needs } from "../support/tools.ts"

const clone = join(import.meta.dirname, "../..")
/** Four ports in a row; most of what the kernel hands out lies higher. */
const below = 20_000

suite("the demo", { skip: needs("ssh", "psql", "curl"), concurrency: 1 }, () => {
  let demo: Program
  const state = scratch("demo")

  const startDemo = (): Promise<Program> =>
    onFreePort(async (port) => {
      const env = { SLUICE_STATE: state, SLUICE_DEMO_PORT_BASE: String(port - below > 1_024 ? port - below : port) }
      const program = launch(process.execPath, [join(clone, "demo/start.ts")], { cwd: clone, env, background: true })
      await program.says("Ctrl-C ends everything.", 120_000)
      return program
    })
  before(async () => {
    demo = await startDemo()
  })
  after(async () => {
    await demo.stop()
  })

  /** The printed line that contains all of `parts`, pasted into a shell; what stands in <brackets> is filled in. */
  const paste = (parts: readonly string[], { fill = "", more = "" } = {}): Promise<Ran> => {
    const line = demo.stdout.split("\n").find((line) => line.startsWith("    ") && parts.every((part) => line.includes(part)))
    assert.ok(line, `no printed line has ${parts.join(" and ")}:\n${demo.stdout}`)
    return run("sh", ["-c", line.trim().replace(/<\w+>/, fill) + more], { cwd: clone })
  }
  const approve = async (asked: Ran): Promise<void> => {
    assert.equal(asked.status, 0, asked.stderr)
    const id = /Request (\d+)/.exec(asked.stdout)?.[1]
    const line = demo.stdout.split("\n").find((line) => line.includes("gateway approve"))
    const ran = await run("sh", ["-c", (line ?? "").trim().replace(/approve \d+/, `approve ${id}`)], { cwd: clone })
    assert.equal(ran.status, 0, ran.stderr)
  }

  test("alice is refused, asks, bob approves, and she is in", async () => {
    const refused = await paste(["alice", "demo-host"], { more: " true" })
    assert.equal(refused.status, 255)
    assert.match(refused.stderr, /you have no access to this target now\. Ask for it: /)
    await approve(await paste(["request demo-host"]))
    const ran = await paste(["alice", "demo-host"], { more: " 'echo in; exit 5'" })
    assert.deepEqual([ran.stdout, ran.status], ["in\n", 5], ran.stderr)
  })

  test(
    "and her files come with her",
    { skip: needs("sftp") || (!existsSync("/usr/lib/openssh/sftp-server") && "no sftp-server") },
    async () => {
      const line = demo.stdout.split("\n").find((one) => one.includes("alice") && one.includes("demo-host")) ?? ""
      const batch = join(scratch("demo-sftp"), "batch")
      writeFileSync(batch, "pwd\n")
      const ran = await run("sh", ["-c", line.trim().replace(/^ssh /, `sftp -b ${batch} `)], { cwd: clone })
      assert.match(ran.stdout, /Remote working directory: \//, ran.stderr)
    },
  )

  test("the database and the web application answer", async () => {
    await approve(await paste(["request demo-db"]))
    const rows = await paste(["psql", "SELECT"])
    assert.equal(rows.status, 0, rows.stderr)
    assert.match(rows.stdout, /\(\d+ rows\)/)
    await approve(await paste(["request demo-app"]))
    const page = await paste(["curl"])
    assert.equal(page.status, 0, page.stderr)
    assert.match(page.stdout, /Hello alice /)
  })

  test("a deletion waits until bob has looked at it; the lines in between work for whoever reads them", async () => {
    const line = demo.stdout.split("\n").find((one) => one.includes("DELETE FROM orders")) ?? ""
    const waiting = launch("sh", ["-c", line.trim()], { cwd: clone })
    await waiting.says("held: request", 60_000)
    const [, id, way, url] =
      /held: request (\d+) waits until oncall approves it, .*: (ssh .*) {2}or {2}(https:\S+)/.exec(waiting.stderr) ?? []
    assert.ok(id && way && url?.endsWith(`/requests/${id}`), waiting.stderr)
    assert.ok(way.includes("/<you>/ssh_config gateway approve"), way)
    const [, looks = ""] = /^ {4}(.*requests) <number> --estimate/m.exec(demo.stdout) ?? []
    const plain = await run("sh", ["-c", `${looks} ${id}`], { cwd: clone })
    assert.match(plain.stdout, new RegExp(`by the planner: ssh \\S+ \\S+/bob/ssh_config gateway requests ${id} --estimate\\n$`))
    const seen = await paste(["requests <number>"], { fill: id })
    assert.match(seen.stdout, /action {2}DELETE FROM orders WHERE id = 3\n {2}does {4}delete on orders\n {2}rows {4}about 1 by the planner/)
    const [decide] = /ssh -F \S+\/bob\/ssh_config gateway approve \d+/.exec(seen.stdout) ?? []
    assert.ok(decide, seen.stdout)
    const approved = await run("sh", ["-c", decide], { cwd: clone })
    assert.equal(approved.status, 0, approved.stderr)
    assert.match((await waiting.ended).stdout, /^DELETE [01]$/m)
  })

  test("what was done is listed and replayed, and a revoked grant is over", async () => {
    const sessions = await paste(["alice", "gateway sessions"])
    const session = /s_[0-9a-z]{16}/.exec(sessions.stdout)?.[0]
    assert.ok(session, sessions.stdout + sessions.stderr)
    const replay = await paste(["replay"], { fill: session })
    assert.equal(replay.status, 0, replay.stderr)
    const grants = await paste(["bob", "gateway grants"])
    for (const [grant] of grants.stdout.matchAll(/g_[0-9a-z]{16}/g)) {
      const revoked = await paste(["gateway revoke"], { fill: grant })
      assert.equal(revoked.status, 0, revoked.stderr)
    }
    assert.equal((await paste(["alice", "demo-host"], { more: " true" })).status, 255)
  })

  test("a second start finds everything again", async () => {
    const before = await paste(["alice", "gateway sessions"])
    await demo.stop()
    demo = await startDemo()
    const after = await paste(["alice", "gateway sessions"])
    assert.ok(after.stdout.includes(/s_[0-9a-z]{16}/.exec(before.stdout)?.[0] ?? "nothing"), after.stdout + after.stderr)
  })
})
