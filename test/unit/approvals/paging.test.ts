// Lists in pages: everything once, whatever is added or changed while somebody turns them.
import assert from "node:assert/strict"
import test from "node:test"
import { hour, type Service, startService } from "./service.ts"

type Answer = Readonly<Record<string, unknown>> & { readonly next: string | number | null }

/** Page after page as `who`; `between` is done after each. */
async function turn(
  service: Service,
  { who, path, list, limit }: { readonly who: string; readonly path: string; readonly list: string; readonly limit: number },
  between: () => Promise<unknown> = async () => {},
): Promise<Record<string, unknown>[][]> {
  const pages: Record<string, unknown>[][] = []
  let next: string | number | null = null
  do {
    const line: string = `GET ${path}${path.includes("?") ? "&" : "?"}limit=${limit}${next === null ? "" : `&before=${next}`}`
    const { status, body } = await service.call(who, line)
    assert.equal(status, 200, line)
    const answer = body as unknown as Answer
    pages.push(answer[list] as Record<string, unknown>[])
    next = answer.next
    await between()
  } while (next !== null)
  return pages
}

const startSessions = (service: Service, count: number, from = 0): Promise<unknown> =>
  service.call("gateway", "POST /v1/gateway/sessions", {
    gateway: "gw",
    reports: Array.from({ length: count }, (_, index) => ({
      event: "started",
      session: {
        id: `s_${String(from + index).padStart(16, "0")}`,
        gateway: "gw",
        protocol: "ssh",
        subject: "alice@example.com",
        target: "prod-host",
        as: null,
        grant: "g_0123456789abcdef",
        client: "203.0.113.7:1",
        // Two at a time begin in the same millisecond.
        started_at: service.clock.now() + Math.floor(index / 2),
      },
    })),
  })

test("paging: requests come newest first, each once, also while others are filed and decided", async (t) => {
  const service = await startService(t)
  for (let index = 0; index < 5; index++) await service.ask({ as: index % 2 === 0 ? ["root"] : ["deploy"], actions: [`echo ${index}`] })
  let asked = 5
  const pages = await turn(service, { who: "bob", path: "/v1/requests", list: "requests", limit: 2 }, async () => {
    await service.ask({ actions: [`echo ${asked++}`] })
    await service.call("bob", "POST /v1/requests/1/approve", {})
  })
  assert.deepEqual(
    pages.map((page) => page.map(({ id }) => id)),
    [[5, 4], [3, 2], [1]],
  )
})

test("paging: a grant that is revoked while somebody turns pages stays in its place", async (t) => {
  const service = await startService(t)
  const ids: string[] = []
  for (let index = 0; index < 5; index++) {
    const { body } = await service.ask({ target: "grafana", duration_ms: hour + index })
    assert(body.grant)
    ids.push(body.grant.id)
  }
  const revoke = [ids[0], ids[4]]
  const pages = await turn(service, { who: "dana", path: "/v1/grants?all=true", list: "grants", limit: 2 }, async () =>
    service.call("dana", `POST /v1/grants/${revoke.pop()}/revoke`, { reason: "x" }),
  )
  assert.deepEqual(
    pages.flat().map(({ id }) => id),
    ids.toReversed(),
  )
  assert.deepEqual(
    pages.map(({ length }) => length),
    [2, 2, 1],
  )
})

test("paging: sessions that began in the same millisecond are each on one page, also while others begin", async (t) => {
  const service = await startService(t)
  await startSessions(service, 7)
  const pages = await turn(service, { who: "alice", path: "/v1/sessions", list: "sessions", limit: 3 })
  assert.deepEqual(
    pages.map((page) => page.map(({ id }) => Number(String(id).slice(2)))),
    [[6, 5, 4], [3, 2, 1], [0]],
  )
  const live = await turn(service, { who: "alice", path: "/v1/sessions?live=true", list: "sessions", limit: 7 })
  assert.deepEqual(
    live.map(({ length }) => length),
    [7],
    "a page that is just full is the last one",
  )
})

test("paging: people come by name, the config's among them, and those who are disabled are so on every page", async (t) => {
  const service = await startService(t)
  await service.call("dana", "POST /v1/people/disable", { subject: "gina@example.com", reason: "left" })
  const pages = await turn(service, { who: "dana", path: "/v1/people", list: "people", limit: 3 })
  const names = service.config.identity.users.map(({ name }) => name).toSorted()
  assert.deepEqual(
    pages.flat().map(({ name }) => name),
    names,
  )
  assert.deepEqual(
    pages.flat().flatMap(({ name, disabled }) => (disabled ? [name] : [])),
    ["gina@example.com"],
  )
})

test("paging: a page is no way to see what is others'", async (t) => {
  const service = await startService(t)
  for (const who of ["alice", "carol", "alice", "carol"]) await service.ask({ actions: [`echo ${who} ${Math.random()}`] }, who)
  const pages = await turn(service, { who: "alice", path: "/v1/requests", list: "requests", limit: 1 })
  assert.deepEqual(
    pages.flat().map(({ id, subject }) => [id, subject]),
    [
      [3, "alice@example.com"],
      [1, "alice@example.com"],
    ],
  )
})

test("paging: limits and places that are none are refused, and a large limit is bounded", async (t) => {
  const service = await startService(t)
  for (const [path, wrong] of [
    ["/v1/requests", ["limit=0", "limit=-1", "limit=x", "limit=", "before=x", "before=-1", "before=0", "before=1.5"]],
    ["/v1/grants", ["limit=0", "before=g_0123456789abcdef"]],
    ["/v1/sessions", ["limit=0", "before=1", "before=s_0123456789abcdef", "before=1.s_1", "before=x.s_0123456789abcdef"]],
    ["/v1/people", ["limit=0", "before="]],
  ] as const)
    for (const query of wrong) assert.equal((await service.call("dana", `GET ${path}?${query}`)).status, 400, `${path}?${query}`)
  for (const path of ["/v1/requests", "/v1/grants", "/v1/sessions", "/v1/people"])
    assert.equal((await service.call("dana", `GET ${path}?limit=999999999`)).status, 200)
  await startSessions(service, 1_000)
  await startSessions(service, 1, 1_000)
  const { body } = await service.call("alice", "GET /v1/sessions?limit=100000")
  assert.equal(body.sessions.length, 1_000)
  assert.notEqual((body as unknown as Answer).next, null)
})

test("lists: each says who may end what is in it: not an auditor, unless they may as somebody else", async (t) => {
  const service = await startService(t)
  await service.ask()
  await service.call("bob", "POST /v1/requests/1/approve", {})
  const { body: given } = await service.ask({ target: "grafana" }, "carol")
  await startSessions(service, 1)
  const { policy } = service.config
  const endable = async (who: string): Promise<unknown[]> => {
    const [grants, sessions] = await Promise.all(["grants", "sessions"].map((list) => service.call(who, `GET /v1/${list}`)))
    const ids = (rows: readonly { readonly id: string; readonly may_end: boolean }[]) =>
      rows.flatMap(({ id, may_end }) => (may_end ? [id] : []))
    return [ids((grants?.body.grants ?? []) as never), ids((sessions?.body.sessions ?? []) as never)]
  }
  const [first] = (await service.call("bob", "GET /v1/grants")).body.grants
  assert(first && given.grant)
  const session = "s_0000000000000000"
  assert.deepEqual(await endable("alice"), [[], []])
  assert.deepEqual(await endable("bob"), [[first.id], []])
  assert.deepEqual(await endable("gina"), [[], []])
  assert.deepEqual(await endable("dana"), [[given.grant.id, first.id], [session]])
  await service.restart({ policy: { ...policy, auditors: ["auditors", "oncall"] } })
  assert.equal((await service.call("bob", "GET /v1/grants")).body.grants.length, 2)
  assert.deepEqual(await endable("bob"), [[first.id], []])
  for (const [id, status] of [
    [given.grant.id, 403],
    [first.id, 200],
  ] as const)
    assert.equal((await service.call("bob", `POST /v1/grants/${id}/revoke`, {})).status, status)
})
