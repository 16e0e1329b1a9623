// The whole story, as people live it: nobody has access; alice's ssh is refused with the line that asks; she asks; bob approves; she
// works with her own ssh and psql; the grant ends and everything ends with it; what she did can be replayed. Real programs only,
// nothing but ssh for the asking, and the host key trusted by the one line that `ssh-config` prints.
import assert from "node:assert/strict"
import { join } from "node:path"
import { after, before, suite, test } from "node:test"
import type { GrantView, RequestView, SessionView } from "../../src/api/schema.ts"
import { psql } from "../support/clients.ts"
import { livePsql, liveSsh } from "../support/live.ts"
import { type People, type Person, people } from "../support/people.ts"
import { type Postgres, startPostgres } from "../support/postgres.ts"
import { type Ran, run } from "../support/run.ts"
import { type Sluice, spawnSluice } from "../support/sluice.ts"
import { postgresTarget, sshTarget } from "../support/sluice_config.ts"
import { type Sshd, startSshd } from "../support/sshd.ts"
import { needs } from "../support/tools.ts"
import { eventually } from "../support/wait.ts"

const main = join(import.meta.dirname, "../../src/main.ts")

suite("the story", { skip: needs("ssh", "sshd", "psql", "openssl"), concurrency: 1 }, () => {
  const { alice, bob, carol }: People = people()
  let sshd: Sshd
  let postgres: Postgres
  let sluice: Sluice
  let trust: string | undefined
  let asked: number

  /** `ssh gateway <verb>`; the line goes as one word, as a shell would be given it. */
  const gateway = (person: Person, line: string): Promise<Ran> => run("ssh", [...sluice.ssh(person, trust), "gateway", line])
  const prodHost = (person: Person, ...command: string[]): Promise<Ran> =>
    run("ssh", [...sluice.ssh(person, trust), "-J", "gateway", `${sshd.login}@prod-host`, ...command])
  const answer = (ran: Ran): unknown => {
    assert.equal(ran.status, 0, ran.stderr + ran.stdout)
    return JSON.parse(ran.stdout)
  }
  const request = async (line: string): Promise<RequestView> => answer(await gateway(alice, `request ${line} --json`)) as RequestView

  before(async () => {
    ;[sshd, postgres] = await Promise.all([startSshd(), startPostgres({ tls: true })])
    sluice = await spawnSluice({
      users: [alice, bob, carol],
      targets: [
        sshTarget("prod-host", sshd),
        { ...sshTarget("vault", sshd), labels: { env: "vault" } },
        postgresTarget("orders", postgres),
      ],
      policy: {
        access: [{ who: ["engineers"], targets: { env: "prod" }, max: "4h", approve: { by: ["oncall", "engineers"] }, reason: "required" }],
      },
    })
  })
  after(async () => {
    await sluice.stop()
    await Promise.all([sshd.stop(), postgres.stop()])
  })

  test("one line from `ssh gateway ssh-config` is all the trust that -J needs", async () => {
    const { stdout, status, stderr } = await gateway(alice, "ssh-config")
    assert.equal(status, 0, stderr)
    const line = /^.*(@cert-authority .*)$/m.exec(stdout)?.[1]
    assert.ok(line, stdout)
    // The gateway's own key is pinned, and from now on nothing else is accepted that this line does not vouch for.
    const outer = await run("ssh-keyscan", ["-t", "ed25519", "-p", String(sluice.port("ssh")), "127.0.0.1"])
    trust = `${outer.stdout}${line}\n`
  })

  test("without a grant, ssh is refused with the line that asks", async () => {
    const { stderr, status } = await prodHost(alice, "true")
    assert.equal(status, 255)
    assert.match(stderr, /you have no access to this target now/)
    assert.match(stderr, /ssh gateway request prod-host --for 1h --reason/)
  })

  test("a target that is not there is refused with the same words as one that cannot be asked for", async () => {
    const refusal = async (target: string): Promise<string> =>
      (await run("ssh", [...sluice.ssh(alice), "-J", "gateway", `${sshd.login}@${target}`, "true"])).stderr.replaceAll(target, "<target>")
    assert.equal(await refusal("vault"), await refusal("prod-hose"))
  })

  test("a reason is required, and the refusal says so", async () => {
    const { stderr, stdout, status } = await gateway(alice, "request prod-host --for 1h")
    assert.equal(status === 1 || status === 2, true)
    assert.match(stderr + stdout, /reason/)
  })

  test("alice asks, and cannot approve her own request", async () => {
    const made = await request('prod-host --for 1h --reason "INC-7: pods crash"')
    assert.equal(made.status, "pending")
    asked = made.id
    const own = await gateway(alice, `approve ${asked}`)
    assert.equal(own.status, 1)
    assert.match(own.stderr + own.stdout, /nobody approves their own request/)
    assert.equal((await prodHost(alice, "true")).status, 255)
  })

  test("bob sees it waiting, with the reason, and approves", async () => {
    const list = await gateway(bob, "requests")
    assert.match(list.stdout, /alice@example\.com/)
    assert.match(list.stdout, /INC-7: pods crash/)
    const { status, stdout, stderr } = await gateway(bob, `approve ${asked}`)
    assert.equal(status, 0, stderr)
    assert.match(stdout, /prod-host/)
  })

  test("alice is in with stock ssh -J: output, standard error and exit status are the command's own", async () => {
    const ran = await prodHost(alice, "echo out; echo err >&2; exit 42")
    assert.equal(ran.stdout, "out\n")
    assert.match(ran.stderr, /^err$/m)
    assert.equal(ran.status, 42)
    assert.equal((await run("ssh", [...sluice.ssh(carol), "-J", "gateway", `${sshd.login}@prod-host`, "true"])).status, 255)
  })

  test("alice asks for the database too, and is in with stock psql and the token that `ssh gateway token` prints", async () => {
    const { id } = await request("orders --for 1h --reason INC-7")
    assert.equal((await gateway(bob, `approve ${id}`)).status, 0)
    const { stdout } = await gateway(alice, "token orders")
    const [program, args] = await psql({ sluice, person: alice, target: "orders" }, postgres.role, [
      "-tAc",
      "SELECT name FROM items ORDER BY id",
    ])
    const ran = await run(program, args, { env: { PGPASSWORD: stdout.trim() } })
    assert.deepEqual([ran.stdout, ran.status], ["apple\npear\nplum\n", 0], ran.stderr)
  })

  test("she drops both grants and asks for seconds: at their end ssh and psql are cut, with words, and nothing is left running", async () => {
    const { grants } = answer(await gateway(alice, "grants --json")) as { grants: GrantView[] }
    for (const { id } of grants) assert.equal((await gateway(alice, `drop ${id}`)).status, 0)
    assert.equal((await prodHost(alice, "true")).status, 255)

    for (const target of ["prod-host", "orders"]) {
      const { id } = await request(`${target} --for 12s --reason INC-8`)
      assert.equal((await gateway(bob, `approve ${id}`)).status, 0)
    }
    const [shell, query] = await Promise.all([
      liveSsh({ sluice, person: alice, target: "prod-host" }, sshd),
      livePsql({ sluice, person: alice, target: "orders" }, postgres),
    ])
    const words = (target: string): RegExp =>
      new RegExp(
        `sluice: your access to ${target} ended at \\d\\d:\\d\\d:\\d\\d UTC \\(grant g_\\w{16}, expired\\)\\. Ask again: ssh gateway request ${target}`,
      )
    assert.match(await shell.ended, words("prod-host"))
    assert.match(await query.ended, words("orders"))
    await eventually("pg_sleep to be gone from pg_stat_activity", async () => !(await query.runs()))
    await eventually("the command to be gone from the host", async () => !(await shell.runs()))
  })

  test("what was done can be replayed: the command with its output and exit status, the statement with its outcome", async () => {
    const { sessions } = answer(await gateway(alice, "sessions --json")) as { sessions: SessionView[] }
    const replay = (id: string): Promise<Ran> => run(process.execPath, [main, "replay", id, "--list", "--config", sluice.configFile])
    const replays = await Promise.all(sessions.map(({ id }) => replay(id)))
    const ssh = replays.find(({ stdout }) => stdout.includes("exit 42"))
    assert.ok(ssh, replays.map(({ stdout, stderr }) => stdout + stderr).join("\n---\n"))
    const sql = replays.find(({ stdout }) => stdout.includes("SELECT name FROM items ORDER BY id"))
    assert.ok(sql, replays.map(({ stdout, stderr }) => stdout + stderr).join("\n---\n"))
  })
})
