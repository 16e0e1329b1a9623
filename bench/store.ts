// What does a decision take in a store that is full? 10,000 requests that wait and 100,000 grants, on SQLite and on PostgreSQL: asking,
// approving and reading through the HTTP API with a person's own token, one after the other, and what a bare commit takes on the same
// disk. Beside it whether anything stands still meanwhile: how long a small question waits while lists are read and a sweep is at work.
import { setTimeout as sleep } from "node:timers/promises"
import { readFileSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { type ApiClient, createApiClient } from "../src/api/client.ts"
import type { StoreConfig } from "../src/config/config.ts"
import { Secret } from "../src/core/secret.ts"
import { person } from "../test/support/people.ts"
import { startPostgres } from "../test/support/postgres.ts"
import { scratch } from "../test/support/scratch.ts"
import { type Sluice, spawnSluice } from "../test/support/sluice.ts"
import { gatewayKey } from "../test/support/sluice_config.ts"
import { newPostgresStore, query, storeUrl } from "../test/support/store.ts"
import { eventually } from "../test/support/wait.ts"
import { addLapsed, bareCommits, fill, type Filling, nameOf, targetOf } from "./support/filled_store.ts"
import { durable } from "./support/durable.ts"
import { quantile } from "./support/rounds.ts"
import type { Settings } from "./support/settings.ts"
import { printTable } from "./support/table.ts"

const filling: Filling = { people: 500, targets: 20, pending: 10_000, grants: 100_000 }

export async function measure(settings: Settings): Promise<void> {
  const database = await startPostgres({ settings: durable })
  try {
    const folder = scratch("bench-store")
    const stores: readonly (readonly [string, StoreConfig])[] = [
      ["SQLite", { kind: "sqlite", path: join(folder, "sluice.db") }],
      ["PostgreSQL", await newPostgresStore(database)],
    ]
    for (const [name, store] of stores) printTable(titleOf(name, settings), heads, await measureStore(store, settings))
  } finally {
    await database.stop()
  }
}

const heads = ["", "p50 ms", "p99 ms", "max ms", "times"]
const titleOf = (name: string, { rounds }: Settings): string =>
  `${name}: ${filling.pending} requests wait, ${filling.grants} grants, ${rounds * 200} decisions one after the other`

type Row = readonly [string, ...string[]]
const row = (name: string, taken: readonly number[]): Row => [
  name,
  ...[0.5, 0.99, 1].map((share) => quantile(taken, share).toFixed(2)),
  String(taken.length),
]

async function measureStore(store: StoreConfig, settings: Settings): Promise<Row[]> {
  process.stderr.write("filling ")
  await fill(store, filling)
  const rows = [row("a bare commit", await bareCommits(store, 200))]
  const bob = person("bob", "oncall")
  const people = Array.from({ length: filling.people }, (_, index) => ({ name: nameOf(index), groups: ["engineers"] }))
  const folder = scratch("bench-service")
  writeFileSync(join(folder, "store_url"), store.kind === "sqlite" ? `sqlite:${store.path}` : storeUrl(store), { mode: 0o600 })
  const sluice = await spawnSluice({
    users: [bob],
    role: "approvals",
    folder,
    approvals: { store: "file:store_url" },
    identity: { users: [{ name: bob.name, groups: bob.groups, ssh_keys: [bob.publicKey] }, ...people] },
    targets: Array.from({ length: filling.targets }, (_, index) => ({ name: targetOf(index), http: { url: "http://127.0.0.1:1" } })),
    policy: {
      access: [
        { who: ["oncall"], targets: targetOf(0), max: "8h", approve: "auto" },
        {
          who: ["engineers"],
          targets: Array.from({ length: filling.targets }, (_, index) => targetOf(index)),
          max: "8h",
          approve: { by: ["oncall"] },
        },
      ],
    },
    ...(settings.profile === undefined ? {} : { nodeArgs: ["--cpu-prof", `--cpu-prof-dir=${settings.profile}`] }),
  })
  const service = await connect(sluice, { decider: bob.name, asker: nameOf(1) })
  try {
    rows.push(...(await decisions(service, settings)), ...(await reads(service, settings)), ...(await sweep(store, service)))
    return rows
  } finally {
    await service.close()
    await sluice.stop()
    process.stderr.write("\n")
  }
}

interface Service {
  /** Calls as somebody on call, and as somebody who asks, over the same connections. */
  readonly decider: ApiClient
  readonly asker: ApiClient
  readonly gateway: ApiClient
  /** Of its process. */
  readonly pid: number
  close(): Promise<void>
}

async function connect(sluice: Sluice, names: { readonly decider: string; readonly asker: string }): Promise<Service> {
  const gateway = createApiClient({ url: `http://127.0.0.1:${sluice.port("approvals")}`, credential: () => new Secret(gatewayKey) })
  const as = async (subject: string): Promise<ApiClient> => {
    const { token } = await gateway.call("token", { body: { subject, via: "a bench", use: "api" } })
    return gateway.as(() => new Secret(token))
  }
  return {
    decider: await as(names.decider),
    asker: await as(names.asker),
    gateway,
    pid: sluice.program?.pid ?? 0,
    close: () => gateway.close(),
  }
}

async function timed(times: number, work: (index: number) => Promise<unknown>): Promise<number[]> {
  const taken: number[] = []
  for (let index = 0; index < times; index++) {
    const start = performance.now()
    await work(index)
    taken.push(performance.now() - start)
    if (index % 100 === 99) process.stderr.write(".")
  }
  return taken
}

async function decisions({ decider, asker, pid }: Service, { rounds }: Settings): Promise<Row[]> {
  const first = filling.grants + 1
  const warm_up = 200 // one round, as elsewhere
  await timed(warm_up, (index) => decider.call("approve", { id: first + index, body: {} }))
  const before = cpuOf(pid)
  const approved = await timed(rounds * 200, (index) => decider.call("approve", { id: first + warm_up + index, body: {} }))
  const cpu = (cpuOf(pid) - before) / approved.length
  const asked: number[] = []
  const withdrawn = await timed(rounds * 40, async (index) => {
    const start = performance.now()
    // Of what is on file nothing asks for just this.
    const actions = [`GET /bench/${index}`]
    const { id } = await asker.call("ask", { body: { target: targetOf(3), duration_ms: 3_600_000, reason: "a bench", actions } })
    asked.push(performance.now() - start)
    await asker.call("withdraw", { id, body: {} })
  })
  const late = first + filling.pending - 1
  const denied = await timed(rounds * 40, (index) => decider.call("deny", { id: late - index, body: { reason: "no" } }))
  const processor: Row = ["… processor time of the service", cpu.toFixed(2), "", "", String(approved.length)]
  return [row("approve", approved), processor, row("deny", denied), row("ask", asked), row("ask, then withdraw", withdrawn)]
}

async function reads({ decider, gateway }: Service, { rounds }: Settings): Promise<Row[]> {
  const lookup = await timed(rounds * 100, (index) =>
    gateway.call("lookup", { query: { subject: nameOf(index % filling.people), target: targetOf(index % filling.targets) } }),
  )
  const lists = await stalls(decider, async () => {
    const taken = await timed(rounds * 4, () => decider.call("requests", { query: { status: "pending" } }))
    return [...taken, ...(await timed(rounds * 4, () => decider.call("grants", { query: { all: true } })))]
  })
  return [row("a gateway's look-up", lookup), row("a list of requests, of grants", lists.answer), row("whoami meanwhile", lists.waited)]
}

const lapsed = 2_000

async function sweep(store: StoreConfig, { decider }: Service): Promise<Row[]> {
  await addLapsed(store, filling, lapsed)
  const left = async (): Promise<unknown> =>
    (
      await query(store, `select count(*) as left from requests where state = 'pending' and lapse_told = 0 and lapses_at <= ${Date.now()}`)
    )[0]?.["left"]
  const { waited } = await stalls(decider, () => eventually("the sweep to be done", async () => (await left()) === 0, 300_000))
  return [row(`whoami while a sweep tells of ${lapsed} that lapsed`, waited)]
}

/** Milliseconds of processor that a process has had: what a busy machine does not change (proc(5), `stat`, in hundredths of a second). */
function cpuOf(pid: number): number {
  const [user = "0", system = "0"] = readFileSync(`/proc/${pid}/stat`, "utf8").split(") ").at(-1)?.split(" ").slice(11, 13) ?? []
  return (Number(user) + Number(system)) * 10
}

/** How long a small question waits while `work` runs, one after the other. */
async function stalls<T>(client: ApiClient, work: () => Promise<T>): Promise<{ readonly answer: T; readonly waited: number[] }> {
  const waited: number[] = []
  const over = new AbortController()
  const asking = (async () => {
    while (!over.signal.aborted) {
      waited.push(...(await timed(1, () => client.call("whoami", {}))))
      await sleep(1)
    }
  })()
  try {
    return { answer: await work(), waited }
  } finally {
    over.abort()
    await asking
  }
}
