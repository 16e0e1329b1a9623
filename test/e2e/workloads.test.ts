// A pipeline, as it is written: a CI job with nothing but the token of its platform asks for a host, waits, and uses it.
import assert from "node:assert/strict"
import { createServer } from "node:http"
import { once } from "node:events"
import { mkdtempSync, readdirSync, readFileSync, statSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { after, before, describe, test } from "node:test"
import { people } from "../support/people.ts"
import { startPostgres, type Postgres } from "../support/postgres.ts"
import { launch, must, run, type Ran } from "../support/run.ts"
import { scratch } from "../support/scratch.ts"
import { startSluice, type Sluice } from "../support/sluice.ts"
import { gatewayName, postgresTarget, sshTarget } from "../support/sluice_config.ts"
import { startSshd, type Sshd } from "../support/sshd.ts"
import { needs } from "../support/tools.ts"
import { eventually } from "../support/wait.ts"
import { startWorkloadIssuer, type WorkloadIssuer } from "../support/workload_issuer.ts"

const main = join(import.meta.dirname, "../../src/main.ts")
const name = "ci:acme/shop"

describe("a CI job", { skip: needs("ssh", "sshd", "ssh-keygen", "ssh-agent", "ssh-add", "psql", "openssl") }, () => {
  const { alice, bob, dana } = people()
  const homes = scratch("jobs")
  let sluice: Sluice
  let sshd: Sshd
  let postgres: Postgres
  let platform: WorkloadIssuer

  before(async () => {
    ;[sshd, postgres, platform] = await Promise.all([startSshd(), startPostgres(), startWorkloadIssuer(Date.now)])
    sluice = await startSluice({
      users: [alice, bob, dana],
      targets: [sshTarget("prod-host", sshd), postgresTarget("orders", postgres)],
      identity: {
        workloads: [{ issuer: platform.issuer, audience: "sluice", match: { repository: "acme/shop" }, name, groups: ["ci"] }],
      },
      policy: {
        access: [
          { who: ["ci"], targets: "orders", max: "10m", approve: "auto", reason: "required" },
          { who: ["ci"], targets: "prod-host", max: "10m", approve: { by: ["oncall"] } },
        ],
        admins: ["admins"],
      },
    })
  })
  after(async () => {
    await sluice.stop()
    await Promise.all([sshd.stop(), postgres.stop(), platform.stop()])
  })

  interface Job {
    readonly env: Record<string, string | undefined>
    readonly home: string
  }
  async function job(token?: Record<string, unknown>): Promise<Job> {
    const home = mkdtempSync(join(homes, "job-"))
    const env = {
      HOME: home,
      SLUICE_SERVICE: `http://127.0.0.1:${sluice.port("approvals")}`,
      SLUICE_WORKLOAD_TOKEN: await platform.token(token),
      SLUICE_GATEWAY: undefined,
      SSH_AUTH_SOCK: undefined,
      XDG_CACHE_HOME: undefined,
      XDG_CONFIG_HOME: undefined,
    }
    return { env, home }
  }
  const cli = ({ env }: Job, ...words: string[]): Promise<Ran> => run(process.execPath, [main, ...words], { env })
  const psql = ({ env }: Job, more: string, extra: Record<string, string> = {}): Promise<Ran> => {
    const where = `host=${gatewayName} hostaddr=127.0.0.1 port=${sluice.port("postgres")} dbname=orders user=${postgres.role}`
    const args = [`${where} sslmode=verify-full sslrootcert=${sluice.caFile} ${more}`, "-X", "-w", "-Atc", "SELECT 6*7"]
    return run("psql", args, { env: { ...env, ...extra } })
  }
  const ssh = ({ env }: Job, identity: readonly string[], words: readonly string[]): Promise<Ran> => {
    const known = ["-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null", "-F", "none"]
    return run("ssh", [...known, ...identity, "-p", String(sluice.port("ssh")), ...words], { env })
  }

  test("asks by itself, is answered by its rule, and its token is a database's password", async () => {
    const it = await job()
    assert.match((await cli(it, "whoami")).stdout, /^ci:acme\/shop \(ci\)/)
    const asked = await cli(it, "request", "orders", "--for", "10m", "--reason", "deploy 7", "--wait")
    assert.equal(asked.status, 0, asked.stderr)
    assert.match(asked.stdout, /was approved by a rule: orders until/)
    const token = (await cli(it, "token", "orders")).stdout.trim()
    const ran = await psql(it, "", { PGPASSWORD: token })
    assert.equal(ran.stdout, "42\n", ran.stderr)
    assert.deepEqual(readdirSync(it.home), [], "nothing of it stays on the machine")
  })

  test("waits for people where its rule says so, and then uses ssh with its certificate", async () => {
    const it = await job()
    const waiting = launch(process.execPath, [main, "request", "prod-host", "--for", "10m", "--reason", "deploy 7", "--wait"], {
      env: it.env,
    })
    await waiting.says(/Waiting for a decision/)
    const [, id = ""] = /Request (\d+)/.exec(waiting.stderr) ?? []
    await sluice.api(bob).call("approve", { id: Number(id), body: {} })
    assert.equal((await waiting.ended).status, 0)
    const made = await cli(it, "certificate")
    assert.equal(made.status, 0, made.stderr)
    const folder = join(it.home, ".config/sluice")
    assert.match(made.stdout, /^Certificates for ci:acme\/shop, good until .*\n {2}ssh {3}ssh -i \S+id_sluice …/)
    for (const file of ["id_sluice", "client.key"]) assert.equal(statSync(join(folder, file)).mode & 0o777, 0o600)
    const key = ["-i", join(folder, "id_sluice"), "-o", "IdentitiesOnly=yes"]
    const ran = await ssh(it, key, [`${sshd.login}@prod-host@127.0.0.1`, "echo deployed"])
    assert.equal(ran.stdout, "deployed\n", ran.stderr)
    const shown = await psql(it, `sslcert=${join(folder, "client.crt")} sslkey=${join(folder, "client.key")}`)
    assert.equal(shown.stdout, "42\n", shown.stderr)
  })

  test("what is open lives by its grant: the login that it was opened with ends, nothing new opens with it, and the session goes on", async () => {
    const it = await job()
    const service = it.env["SLUICE_SERVICE"] ?? ""
    const post = async (path: string, body: object, token = "anybody"): Promise<Record<string, string>> => {
      const headers = { authorization: `Bearer ${token}`, "content-type": "application/json" }
      const response = await fetch(service + path, { method: "POST", headers, body: JSON.stringify(body) })
      assert.equal(response.status, 200, path)
      return (await response.json()) as Record<string, string>
    }
    const { token: login } = await post("/v1/workloads/token", { token: it.env["SLUICE_WORKLOAD_TOKEN"] })
    const asked = (await post("/v1/requests", { target: "orders", duration_ms: 600_000, reason: "deploy 8" }, login)) as unknown as {
      grant: { id: string }
    }
    const { token: PGPASSWORD = "" } = await post("/v1/tokens", { target: "orders" }, login)
    const where = `host=${gatewayName} hostaddr=127.0.0.1 port=${sluice.port("postgres")} dbname=orders user=${postgres.role}`
    const live = launch("psql", [`${where} sslmode=verify-full sslrootcert=${sluice.caFile}`, "-X", "-w", "-At"], {
      env: { ...it.env, PGPASSWORD },
    })
    live.type("SELECT 'it is ' || 'open';\n")
    await live.says("it is open")
    await post("/v1/logout", {}, login)
    await eventually("nothing new to open with it", async () =>
      /authentication failed|login has ended/.test((await psql(it, "", { PGPASSWORD })).stderr),
    )
    live.type("SELECT 'it goes ' || 'on';\n")
    await live.says("it goes on")
    await sluice.api(dana).call("revoke", { id: asked.grant.id, body: { reason: "seen enough" } })
    live.type("SELECT 1;\n")
    const { stderr } = await live.ended
    assert.match(stderr, /your access to orders ended at .*revoked/)
  })

  test("with a running ssh-agent the key is in it alone, and goes at its end", async () => {
    const it = await job()
    const socket = join(it.home, "agent")
    const agent = launch("ssh-agent", ["-D", "-a", socket], { background: true })
    await agent.says(/SSH_AUTH_SOCK/)
    const with_agent = { ...it, env: { ...it.env, SSH_AUTH_SOCK: socket } }
    const made = await cli(with_agent, "certificate", "--json")
    const kept = JSON.parse(made.stdout) as { agent: boolean; identity_file: string | null }
    assert.deepEqual([kept.agent, kept.identity_file], [true, null], made.stderr)
    assert.deepEqual(readdirSync(join(it.home, ".config/sluice")).toSorted(), ["client.crt", "client.key"])
    assert.match(await must("ssh-add", ["-l"], { env: with_agent.env }), /ED25519-CERT/)
    const ran = await ssh(with_agent, [], ["x@127.0.0.1", "whoami"])
    assert.match(ran.stdout, /^ci:acme\/shop \(ci\)/, ran.stderr)
    await agent.stop()
  })

  test("another repository, an old token and a service that is not told in the clear are refused in words", async () => {
    const other = await cli(await job({ repository: "acme/other" }), "whoami")
    assert.deepEqual([other.status, other.stdout], [1, ""])
    assert.match(other.stderr, /^sluice: authentication failed\nThe platform's token is not one/)
    const old = await cli(await job({ exp: Math.floor(Date.now() / 1000) - 60 }), "request", "orders", "--for", "1m", "--reason", "x")
    assert.equal(old.status, 1)
    const it = await job()
    const clear = await cli({ ...it, env: { ...it.env, SLUICE_SERVICE: "http://access.example.com" } }, "whoami")
    assert.deepEqual([clear.status, clear.stdout], [2, ""])
    assert.match(clear.stderr, /SLUICE_SERVICE is not where a token can be sent/)
  })

  test("the token comes from a file, as in Kubernetes, or from where GitHub Actions says", async () => {
    const it = await job()
    const token = it.env["SLUICE_WORKLOAD_TOKEN"] ?? ""
    const file = join(homes, "token")
    writeFileSync(file, `${token}\n`)
    const without = { ...it.env, SLUICE_WORKLOAD_TOKEN: undefined }
    const fromFile = await cli({ ...it, env: { ...without, SLUICE_WORKLOAD_TOKEN_FILE: file } }, "whoami")
    assert.match(fromFile.stdout, /^ci:acme\/shop/, fromFile.stderr)
    const asked: string[] = []
    const actions = createServer((request, response) => {
      asked.push(`${request.url} ${request.headers.authorization}`)
      response.end(JSON.stringify({ value: token }))
    }).listen(0, "127.0.0.1")
    await once(actions, "listening")
    const { port } = actions.address() as { port: number }
    const env = {
      ...without,
      ACTIONS_ID_TOKEN_REQUEST_URL: `http://127.0.0.1:${port}/token?v=2`,
      ACTIONS_ID_TOKEN_REQUEST_TOKEN: "the-jobs-own",
    }
    const fromActions = await cli({ ...it, env }, "whoami")
    assert.match(fromActions.stdout, /^ci:acme\/shop/, fromActions.stderr)
    assert.deepEqual(asked, ["/token?v=2&audience=sluice Bearer the-jobs-own"])
    actions.close()
    const lost = await cli({ ...it, env }, "whoami")
    assert.match(lost.stderr, /the platform gives no token: it does not answer\nIn GitHub Actions the job needs/)
  })

  test("an administrator rotates a CA with one line, and sees what is trusted", async () => {
    const rotated = await run("ssh", [...sluice.ssh(dana), "gateway", "ca", "rotate", "ssh-user", "--reason", "every quarter"])
    assert.equal(rotated.status, 0, rotated.stderr)
    assert.match(rotated.stdout, /^KEY +OF +IS +TRUSTED\n/)
    assert.match(rotated.stdout, / ssh-user +signing +yes\n/)
    assert.match(rotated.stdout, / ssh-user +retired +until \d/)
    const refused = await run("ssh", [...sluice.ssh(bob), "gateway", "ca", "rotate", "client"])
    assert.deepEqual([refused.status, refused.stdout], [1, ""])
    assert.match((await run("ssh", [...sluice.ssh(bob), "gateway", "ca"])).stdout, /BEGIN CERTIFICATE/)
    assert.ok(!readFileSync(sluice.caFile, "utf8").includes("PRIVATE"))
  })
})
