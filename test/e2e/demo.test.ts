// What `npm start` promises: the lines it prints work as they stand, a second start finds everything again, and nothing is left
// running, however it ends.
import assert from "node:assert/strict"
import { randomInt } from "node:crypto"
import { readFileSync } from "node:fs"
import { createServer } from "node:net"
import { after, suite, test } from "node:test"
import { join } from "node:path"
import { answers } from "../support/port.ts"
import { launch, run, type Program } from "../support/run.ts"
import { scratch } from "../support/scratch.ts"
import { needs } from "../support/tools.ts"
import { eventually } from "../support/wait.ts"

const root = join(import.meta.dirname, "../..")

suite("the demo", { skip: needs("bash", "ssh", "psql", "curl"), concurrency: 1 }, () => {
  const state = scratch("demo")
  const running: Program[] = []
  // Below the ports that the system gives away by itself; four in a row.
  const base = 20_000 + 4 * randomInt(3_000)
  after(() => {
    for (const program of running) program.signal("SIGKILL")
  })

  async function start(): Promise<{ demo: Program; lines: string[] }> {
    const env = { SLUICE_STATE: state, SLUICE_DEMO_PORT_BASE: String(base), INIT_CWD: undefined }
    const demo = launch(process.execPath, ["demo/start.ts"], { cwd: root, env, limit_ms: 240_000 })
    running.push(demo)
    await demo.says("Ctrl-C ends everything", 120_000)
    return { demo, lines: demo.stdout.split("\n").map((line) => line.trim()) }
  }

  /** Runs the printed line that has these words, as it stands. */
  async function paste(lines: readonly string[], words: string): Promise<{ stdout: string; stderr: string; status: number | null }> {
    const line = lines.find((one) => one.includes(words))
    assert(line, `no line says ${words}`)
    return run("bash", ["-c", line], { cwd: root })
  }

  const portsOfTargets = (): number[] => ["database", "host", "app"].map((name) => Number(readFileSync(join(state, "ports", name), "utf8")))

  const isQuiet = async (ports: readonly number[]): Promise<boolean> => !(await Promise.all(ports.map(answers))).includes(true)

  test("demo: the printed lines work as they stand, in their order", async () => {
    const { demo, lines } = await start()
    const refused = await paste(lines, "alice/ssh_config demo-host")
    assert.match(
      refused.stderr,
      /you have no access to this target now\. Ask for it: ssh -F \S+\/alice\/ssh_config gateway request demo-host/,
    )
    for (const [number, target] of ["demo-host", "demo-db", "demo-app"].entries()) {
      const asked = await paste(lines, `request ${target}`)
      assert.equal(asked.status, 0, asked.stderr)
      const approved = await run("bash", [
        "-c",
        lines.find((line) => line.includes("approve 1"))!.replace("approve 1", `approve ${number + 1}`),
      ])
      assert.equal(approved.status, 0, approved.stderr)
    }
    const shell = await run("bash", [
      "-c",
      `${lines.findLast((line) => line.endsWith("alice/ssh_config demo-host"))} 'echo from the host; exit 3'`,
    ])
    assert.deepEqual([shell.stdout, shell.status], ["from the host\n", 3])
    assert.match((await paste(lines, "psql ")).stdout, /Grace/)
    assert.match((await paste(lines, "curl ")).stdout, /Hello alice \(groups: engineers; verified with /)
    const sessions = await paste(lines, "gateway sessions")
    const id = /s_[0-9a-z]{16}(?= +alice +demo-db)/.exec(sessions.stdout)?.[0]
    const replay = lines
      .find((line) => line.includes("sluice replay"))!
      .replace("npx sluice", "bin/sluice.mjs")
      .replace("<session>", String(id))
    assert.match((await run("bash", ["-c", replay], { cwd: root })).stdout, /SELECT \* FROM orders/)
    demo.signal("SIGINT")
    assert.equal((await demo.ended).status, 0)
    assert(await isQuiet([base, base + 1, base + 2, base + 3, ...portsOfTargets()]))
  })

  test("demo: a second start finds the grants, and killed outright it leaves nothing running", async () => {
    const { demo, lines } = await start()
    assert.match((await paste(lines, "gateway grants")).stdout, /demo-db/)
    assert.match((await paste(lines, "psql ")).stdout, /Grace/)
    const ports = portsOfTargets()
    demo.signal("SIGKILL")
    await demo.ended
    await eventually("the targets have ended", () => isQuiet(ports))
  })

  test("demo: a port in use is named, and the way around it", async () => {
    const taken = createServer().listen(base, "127.0.0.1")
    after(() => taken.close())
    const ran = await run(process.execPath, ["demo/start.ts"], {
      cwd: root,
      env: { SLUICE_STATE: state, SLUICE_DEMO_PORT_BASE: String(base) },
    })
    assert.equal(ran.status, 1)
    assert.match(ran.stderr, new RegExp(`port ${base} \\(ssh\\) is in use.*SLUICE_DEMO_PORT_BASE=`))
  })
})
