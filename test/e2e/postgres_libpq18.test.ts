// libpq 18 and psql 18: their own OAuth login against the gateway's endpoints, as somebody of a company; protocol 3.2 and its long cancel
// keys. libpq is driven through its hook too, which is how programs other than psql show the code.
import assert from "node:assert/strict"
import { readFileSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { after, before, suite, test } from "node:test"
import { Browser } from "../support/browser.ts"
import { withLibpq18 } from "../support/libpq.ts"
import { type OidcProvider, oidcClient, startOidcProvider } from "../support/oidc_provider.ts"
import { type People, people } from "../support/people.ts"
import { onFreePort } from "../support/port.ts"
import { type Postgres, startPostgres } from "../support/postgres.ts"
import { launch, type Program, run } from "../support/run.ts"
import { scratch } from "../support/scratch.ts"
import { type Sluice, startSluice } from "../support/sluice.ts"
import { postgresTarget } from "../support/sluice_config.ts"
import { needs } from "../support/tools.ts"
import { eventually } from "../support/wait.ts"

const olga = { sub: "sub-olga", claims: { email: "olga@corp.example", email_verified: true, groups: ["engineers"] } }
const program = join(import.meta.dirname, "../support/libpq_client.py")

suite("libpq 18", { skip: needs("python3", "psql", "curl", "openssl", "ssh"), concurrency: 1 }, () => {
  const who: People = people()
  let postgres: Postgres
  let provider: OidcProvider
  let sluice: Sluice
  let url: string

  before(async () => {
    postgres = await startPostgres({ tls: true })
    provider = await startOidcProvider()
    provider.account = olga
    const folder = scratch("libpq18")
    writeFileSync(join(folder, "client_secret"), oidcClient.client_secret, { mode: 0o600 })
    sluice = await onFreePort((free) => {
      url = `https://localhost:${free}`
      return startSluice({
        folder,
        users: Object.values(who),
        targets: [postgresTarget("orders", postgres)],
        gateway: {
          name: "localhost",
          postgres: { listen: "127.0.0.1:0", login: "oauth" },
          http: { listen: `127.0.0.1:${free}`, domain: "apps.localhost" },
        },
        approvals: { public_url: url },
        identity: { oidc: { issuer: provider.issuer, client_id: oidcClient.client_id, client_secret: "file:client_secret" } },
      })
    })
    await provider.serve(`${url}/sign-in/callback`)
  })
  after(async () => {
    await sluice?.stop()
    await provider?.stop()
    await postgres?.stop()
  })

  const where = (more: string) =>
    `host=localhost hostaddr=127.0.0.1 port=${sluice.port("postgres")} dbname=orders user=${postgres.role} sslmode=verify-full sslrootcert=${sluice.caFile} ${more}`
  const start = (what: string, more: string, env: Readonly<Record<string, string>> = {}): Program =>
    launch("/usr/bin/python3", [program, what, where(more)], { env: { ...withLibpq18(), PGOAUTHCAFILE: sluice.caFile, ...env } })
  const oauth = (more = "") => `oauth_issuer=${url} oauth_client_id=psql ${more}`

  test("shows a code, and is in by its own OAuth login once its person has typed that, with nothing else known", async () => {
    const libpq = start("oauth", oauth())
    const [, page = "", code = ""] = await libpq.says(/Visit (\S+) and enter the code: (\S+)\n/)
    assert.equal(page, `${url}/device`)
    const me = new Browser({ ca: readFileSync(sluice.caFile, "utf8") })
    const question = await me.submit(await me.get(page), { user_code: code })
    assert.match(question.text, /a PostgreSQL client/)
    await me.submit(question, { decision: "allow" })
    await me.close()
    await sluice.grant({ ...who.alice, name: "olga@corp.example" }, "orders", { by: who.bob, for: "1h" })
    libpq.type("\n")
    const { stdout, stderr } = await libpq.ended
    assert.match(stdout, new RegExp(`\n30000\nin by ${postgres.role}\n$`), stderr)
    const [session] = await sluice.sessions({ ...who.alice, name: "olga@corp.example" })
    assert.equal(session?.subject, "olga@corp.example")
  })

  /** What a stock psql shows of the code, and in: its person types that on the page it names, and allows it. */
  async function allow(shown: (pattern: RegExp) => Promise<RegExpMatchArray>): Promise<void> {
    const [, page = "", code = ""] = await shown(/Visit (\S+) and enter the code: ([A-Z-]+)/)
    assert.equal(page, `${url}/device`)
    const me = new Browser({ ca: readFileSync(sluice.caFile, "utf8") })
    const question = await me.submit(await me.get(page), { user_code: code })
    await me.submit(question, { decision: "allow" })
    await me.close()
  }

  suite("psql 18", { skip: needs("newer-psql", "unshare") }, () => {
    /** On a machine that trusts the gateway's CA: it logs in as it comes, and its curl asks the system alone whom to trust. */
    const stock = (...args: string[]): Program => {
      const trusting = 'mount --bind "$1" /etc/ssl/certs/ca-certificates.crt && shift && exec newer-psql "$@"'
      return launch("unshare", [
        "--map-root-user",
        "--mount",
        "sh",
        "-c",
        trusting,
        "sh",
        sluice.caFile,
        "-X",
        "-At",
        where(oauth()),
        ...args,
      ])
    }

    const omar = { sub: "sub-omar", claims: { email: "omar@corp.example", email_verified: true, groups: ["engineers"] } }

    test("shows a code, waits, and goes on by itself: who has no grant reads how to ask, who has one is in", async () => {
      const start = (): Program => stock("-c", "SELECT 'in by ' || current_user")
      provider.account = omar
      const stranger = start()
      await allow((pattern) => stranger.says(pattern))
      const refused = await stranger.ended
      assert.match(refused.stderr, /FATAL: {2}sluice: you have no access to this target now\. Ask for it: ssh gateway request orders/)
      assert.equal(refused.status, 2)
      await sluice.grant({ ...who.alice, name: omar.claims.email }, "orders", { by: who.bob, for: "1h" })
      const psql = start()
      await allow((pattern) => psql.says(pattern))
      const { stdout, stderr, status } = await psql.ended
      assert.deepEqual([stdout, status], [`in by ${postgres.role}\n`, 0], stderr)
    })

    test("speaks protocol 3.2 where it is told to, and Ctrl-C stops what runs", async () => {
      await sluice.grant(who.alice, "orders", { by: who.bob, for: "1h" })
      const latest = where("max_protocol_version=latest options='-c sluice.login=token'")
      const psql = launch("newer-psql", ["-X", "-At", latest, "-c", "SELECT pg_sleep(60)"], {
        env: { PGPASSWORD: await sluice.token(who.alice, "orders") },
      })
      const runs = async () => (await postgres.active()).some(({ query }) => query.includes("pg_sleep(60)"))
      await eventually("the query to run", async () => !psql.running || (await runs()))
      psql.signal("SIGINT")
      const { stderr } = await psql.ended
      assert.match(stderr, /ERROR: {2}canceling statement due to user request/)
    })
  })

  test("does not go to another issuer than its person named", async () => {
    const libpq = start("oauth", oauth().replace(url, "https://login.elsewhere.example"))
    const { stderr, stdout } = await libpq.ended
    assert.match(stderr, /is incompatible with oauth_issuer/)
    assert.equal(stdout, "")
  })

  test("a psql that names no issuer says what is missing", async () => {
    const newer = await run("psql", [where("")], { env: withLibpq18() })
    assert.match(newer.stderr, /server requires OAuth authentication, but oauth_issuer and oauth_client_id are not both set/)
  })

  test("what the gateway prints for pg_service.conf logs in with a token here too, where OAuth is what is asked for", async () => {
    await sluice.grant(who.alice, "orders", { by: who.bob, for: "1h" })
    const printed = await run("ssh", [...sluice.ssh(who.alice), "gateway", "pg-service"])
    assert.match(printed.stdout, /^\[orders\]$/m, printed.stderr)
    const services = join(scratch("services"), "pg_service.conf")
    writeFileSync(services, printed.stdout.replace(/^port=.*$/m, `port=${sluice.port("postgres")}`))
    const env = { PGSERVICEFILE: services, PGSSLROOTCERT: sluice.caFile, PGPASSWORD: await sluice.token(who.alice, "orders") }
    const ran = await run("psql", ["service=orders hostaddr=127.0.0.1", "-XtAc", "SELECT 1"], { env })
    assert.equal(ran.stdout, "1\n", ran.stderr)
  })

  test("speaks protocol 3.2, and cancels by a long key over TLS", async () => {
    await sluice.grant(who.alice, "orders", { by: who.bob, for: "1h" })
    const token = await sluice.token(who.alice, "orders")
    const libpq = start("cancel", "max_protocol_version=latest options='-c sluice.login=token'", { PGPASSWORD: token })
    await eventually(
      "the query to run",
      async () => !libpq.running || (await postgres.active()).some(({ query }) => query.includes("pg_sleep(60)")),
    )
    libpq.type("\n")
    const { stdout, stderr } = await libpq.ended
    assert.equal(stdout, "30002\n1\n57014\n", stderr)
  })
})
