// The cut, the same on all three protocols: whatever ends the grant or the session, what runs on the target stops and the user reads
// why in their own tool. Real ssh, psql, curl and a WebSocket client, a real sshd and PostgreSQL.
import assert from "node:assert/strict"
import { after, before, suite, test } from "node:test"
import type { GrantView } from "../../src/api/schema.ts"
import { type HttpApp, startHttpApp } from "../support/http_app.ts"
import { type Live, liveDownload, livePsql, liveSsh, liveWebSocket } from "../support/live.ts"
import { type People, people } from "../support/people.ts"
import { type Postgres, startPostgres } from "../support/postgres.ts"
import { type Sluice, spawnSluice, startSluice } from "../support/sluice.ts"
import { httpTarget, postgresTarget, sshTarget } from "../support/sluice_config.ts"
import { type Sshd, startSshd } from "../support/sshd.ts"
import { needs } from "../support/tools.ts"
import { eventually } from "../support/wait.ts"

const targets = ["prod-host", "orders", "grafana"] as const

suite("the cut", { skip: needs("ssh", "sshd", "psql", "curl", "openssl"), concurrency: 1 }, () => {
  let sshd: Sshd
  let postgres: Postgres
  let app: HttpApp
  const who: People = people()

  before(async () => {
    ;[sshd, postgres, app] = await Promise.all([startSshd({ ordinary: true }), startPostgres({ tls: true }), startHttpApp()])
  })
  after(async () => {
    await Promise.all([sshd.stop(), postgres.stop(), app.stop()])
  })

  const setup = () => ({
    users: Object.values(who),
    targets: [sshTarget("prod-host", sshd), postgresTarget("orders", postgres), httpTarget("grafana", app)],
  })

  const grantAll = (sluice: Sluice, duration: string): Promise<GrantView[]> =>
    Promise.all(targets.map((target) => sluice.grant(who.alice, target, { by: who.bob, for: duration })))

  const connectAll = (sluice: Sluice): Promise<Live[]> => {
    const login = { sluice, person: who.alice }
    return Promise.all([
      liveSsh({ ...login, target: "prod-host" }, sshd),
      livePsql({ ...login, target: "orders" }, postgres),
      liveDownload({ ...login, target: "grafana" }, app),
      liveWebSocket({ ...login, target: "grafana" }, app),
    ])
  }

  /** A response that has begun can only be cut short; every other client reads the words. */
  const assertEnded = async (live: readonly Live[], words: RegExp): Promise<void> => {
    for (const session of live) {
      const read = await session.ended
      assert.match(read, session.name === "curl" ? /\[exit (18|56|92)\]/ : words, `${session.name} read: ${read}`)
      if (session.name === "ssh") assert.match(read, /\[exit 255\]/)
      if (session.name === "psql") assert.match(read, /FATAL/)
      await eventually(`what ${session.name} started to end on the target`, async () => !(await session.runs()))
    }
  }

  /** The same end stands in every recording of `alice`, and in the catalogue. */
  const assertOnRecord = async (sluice: Sluice, code: string): Promise<void> => {
    await eventually("the catalogue to say why", async () => {
      const sessions = await sluice.sessions(who.dana)
      return sessions.length >= targets.length && sessions.every(({ ended_why }) => ended_why === code)
    })
    const sessions = await sluice.sessions(who.dana)
    assert.deepEqual([...new Set(sessions.map(({ target }) => target))].sort(), [...targets].sort())
    for (const { id } of sessions) {
      const lines = sluice.recording(id)
      assert.ok(
        lines.some((line) => line.kind === "cut" && line.code === code),
        `${id}: ${JSON.stringify(lines.slice(-3))}`,
      )
      const last = lines.at(-1)
      assert.ok(last?.kind === "end" && last.code === code, `${id}: ${JSON.stringify(last)}`)
      assert.deepEqual(
        lines.map(({ n }) => n),
        lines.map((_, n) => n),
      )
    }
  }

  test("a revoked grant ends every session on it, says so, and leaves nothing running", async () => {
    const sluice = await startSluice(setup())
    try {
      const grants = await grantAll(sluice, "1h")
      const live = await connectAll(sluice)
      await Promise.all(grants.map((grant) => sluice.revoke(grant, who.bob, "INC-7 is over")))
      await assertEnded(live, /sluice: your access to \S+ ended at \d\d:\d\d:\d\d UTC \(grant g_\w{16}, revoked\)/)
      await assertOnRecord(sluice, "revoked")
    } finally {
      await sluice.stop()
    }
  })

  test("a grant that runs out ends every session on it at its end, says so, and leaves nothing running", async () => {
    const sluice = await startSluice(setup())
    try {
      const grants = await grantAll(sluice, "10s")
      const live = await connectAll(sluice)
      await assertEnded(live, /sluice: your access to \S+ ended at \d\d:\d\d:\d\d UTC \(grant g_\w{16}, expired\)/)
      for (const { ends_at } of grants) assert.ok(Date.now() >= ends_at, "nobody was cut before the end")
      await assertOnRecord(sluice, "expired")
    } finally {
      await sluice.stop()
    }
  })

  test("a killed session ends, and its grant does not: its owner comes back in", async () => {
    const sluice = await startSluice(setup())
    try {
      await grantAll(sluice, "1h")
      const live = await connectAll(sluice)
      const open = await eventually("the catalogue to list them", async () => {
        const sessions = await sluice.sessions(who.dana, true)
        return new Set(sessions.map(({ target }) => target)).size === targets.length ? sessions : undefined
      })
      const dana = sluice.api(who.dana)
      await Promise.all(open.map(({ id }) => dana.call("kill", { id, body: { reason: "looks wrong" } })))
      await assertEnded(live, /sluice: this session was ended by a colleague/)
      await assertOnRecord(sluice, "killed")
      const again = await connectAll(sluice)
      for (const session of again) assert.ok(await session.runs())
      for (const session of again) await session.stop()
    } finally {
      await sluice.stop()
    }
  })

  test("a gateway told to end (SIGTERM) cuts what is still there, says so, and leaves nothing running", async () => {
    const sluice = await spawnSluice(setup())
    try {
      await grantAll(sluice, "1h")
      const live = await connectAll(sluice)
      sluice.program?.signal("SIGTERM")
      await assertEnded(live, /sluice: the gateway is shutting down; connect again in a moment/)
      const ran = await sluice.program?.end()
      assert.equal(ran?.status, 0)
      for (const session of sluice.recorded()) {
        const last = sluice.recording(session).at(-1)
        assert.ok(last?.kind === "end" && last.code === "shutdown", JSON.stringify(last))
      }
    } finally {
      await sluice.stop()
    }
  })
})
