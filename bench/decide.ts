// What do rules for actions cost? One decision about a statement that was seen before, and about one that was not; and how many fewer
// statements pass a target that has rules than one that has none.
import { writeFileSync } from "node:fs"
import { join } from "node:path"
import { StatementReader } from "../src/classify/statement_reader.ts"
import { loadConfig } from "../src/config/load.ts"
import { type ActionRule, decideAction, rulesFor } from "../src/core/action_rules.ts"
import { startPostgres } from "../test/support/postgres.ts"
import { person } from "../test/support/people.ts"
import { scratch } from "../test/support/scratch.ts"
import { spawnSluice } from "../test/support/sluice.ts"
import { postgresTarget, type Section, writeConfig } from "../test/support/sluice_config.ts"
import { pgbench } from "./support/postgres_ways.ts"
import { inTurns, quantile } from "./support/rounds.ts"
import type { Settings } from "./support/settings.ts"
import { printMeasured, printTable } from "./support/table.ts"

const repeated = 2_000
const batch = 100
const first_sights = 2_000

/** As a company might have them: the last of them is the one that decides about a plain read. */
const actions: readonly Section[] = [
  { targets: "ruled", postgres: { kinds: ["update", "delete"], without: "where" }, then: "deny", say: "say which rows" },
  { targets: "ruled", postgres: { kinds: ["ddl", "grant"] }, then: "hold", approve: { by: ["oncall"] } },
  { targets: "ruled", postgres: { tables: ["audit.*"] }, then: "flag" },
]

const policyOf = (targets: readonly string[]): Section => ({
  access: [{ who: ["engineers"], targets, max: "8h", approve: { by: ["oncall"] } }],
  actions,
})

export async function measure(settings: Settings): Promise<void> {
  const [alice, bob] = [person("alice", "engineers"), person("bob", "oncall")]
  const postgres = await startPostgres()
  const targets = ["ruled", "plain"].map((name) => postgresTarget(name, postgres))
  const setup = { users: [alice, bob], targets, policy: policyOf(["ruled", "plain"]) }
  const sluice = await spawnSluice(setup)
  try {
    const loaded = await loadConfig(writeConfig({ ...setup, folder: scratch("bench-rules") }))
    if (!loaded.ok) throw new Error("the bench's own rules do not check")
    const target = loaded.config.targets.find(({ name }) => name === "ruled")
    if (!target) throw new Error("the bench's own target is not there")
    const acting = { person: { name: alice.name, groups: alice.groups }, target, as: postgres.role }
    await decisions(rulesFor(loaded.config.policy.actions, acting))
    for (const name of ["ruled", "plain"]) await sluice.grant(alice, name, { by: bob, for: "2h" })
    const script = join(scratch("pgbench"), "select.sql")
    writeFileSync(script, "SELECT 1;\n")
    const load = ["-M", "simple", "-f", script, "-c", "16", "-j", "2", "-T", String(settings.seconds)]
    const way = (database: string) => ({
      port: sluice.port("postgres"),
      database,
      tls: false,
      password: () => sluice.token(alice, database),
    })
    const turns = [
      ["rules off", () => pgbench(way("plain"), postgres.role, load)],
      ["rules on", () => pgbench(way("ruled"), postgres.role, load)],
    ] as const
    printMeasured(await inTurns(settings.rounds, new Map(turns)), {
      title: `Actions: SELECT 1, 16 clients, without and with ${actions.length} rules, ${settings.rounds} rounds of ${settings.seconds} s`,
      unit: "tps",
      bases: ["rules off"],
    })
  } finally {
    await sluice.stop()
    await postgres.stop()
  }
}

async function decisions(rules: readonly ActionRule[]): Promise<void> {
  const reader = new StatementReader()
  await reader.load()
  const sql = "SELECT o.id, o.amount, c.name FROM orders o JOIN customers c ON c.id = o.customer WHERE o.id = $1 ORDER BY o.id LIMIT 10"
  const decide = (text: string, facts: Awaited<ReturnType<StatementReader["read"]>>) =>
    decideAction(rules, { kind: "postgres.statement", how: "simple", sql: text }, facts)
  await reader.read(sql)
  const again: number[] = []
  for (let round = 0; round < repeated; round++) {
    const began = performance.now()
    for (let one = 0; one < batch; one++) {
      const facts = reader.read(sql)
      if (facts instanceof Promise) throw new Error("a statement that was seen is not known")
      decide(sql, facts)
    }
    again.push(((performance.now() - began) / batch) * 1_000)
  }
  const first: number[] = []
  for (let one = 0; one < first_sights; one++) {
    const text = sql.replace("$1", String(one))
    const began = performance.now()
    decide(text, await reader.read(text))
    first.push((performance.now() - began) * 1_000)
  }
  await reader.close()
  const row = (what: string, values: readonly number[]): string[] => [
    what,
    ...[0.5, 0.99, 1].map((share) => quantile(values, share).toFixed(1)),
  ]
  printTable(
    `Actions: one decision by ${rules.length} rules, microseconds`,
    ["statement", "p50", "p99", "max"],
    [row(`seen before (${batch} at a time)`, again), row("seen for the first time, read in the parser's thread", first)],
  )
}
