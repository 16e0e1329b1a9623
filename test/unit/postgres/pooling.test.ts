// A pooler between the gateway and the server: what goes to it, and how it is stopped.
import assert from "node:assert/strict"
import { test } from "node:test"
import { setImmediate as nextTurn } from "node:timers/promises"
import { message } from "../../../protocols/postgres/codec.ts"
import { cancelUntilQuiet, poolerOf } from "../../../protocols/postgres/pooling.ts"
import { GatewayError } from "../../../src/core/errors.ts"
import { limits } from "../../../src/core/limits.ts"
import type { PostgresPooler, PostgresTarget } from "../../../src/core/target.ts"
import { FakeClock } from "../../support/fake_clock.ts"
import { bind, bound, complete, Dialogue, execute, failed, parse, parsed, query, ready, sync } from "./dialogue.ts"

const behind = (pooler: PostgresPooler, deny?: (sql: string) => GatewayError | undefined) => new Dialogue(deny, { pooler })
const terminate = message("X")

test("pooling: in front of a server itself nothing waits", () => {
  const talk = behind("none")
  const all = Buffer.concat([query("SELECT 1"), query("SELECT 2")])
  assert.deepEqual(talk.client(all), all)
})

test("pooling: a goodbye goes up when nothing runs any more: the pooler forgets then what it would cancel", () => {
  for (const asked of [query("SELECT 1"), Buffer.concat([parse("", "SELECT 1"), bind("", ""), execute()])]) {
    const talk = behind("session")
    assert.deepEqual(talk.client(asked, terminate), asked)
    assert(talk.waits)
  }
  const talk = behind("session")
  talk.client(query("SELECT 1"), terminate)
  talk.server(complete("SELECT 1"), ready())
  assert.deepEqual(talk.again(), terminate)
})

test("pooling: after an error the Sync that the server waits for goes up, whatever stands before it", () => {
  const talk = behind("transaction")
  talk.client(parse("", "nonsense"))
  talk.server(failed("42601"))
  const rest = Buffer.concat([query("SELECT 1"), sync()])
  assert.deepEqual(talk.client(rest), rest)
  talk.server(ready())
  assert.deepEqual(talk.client(query("SELECT 2")), query("SELECT 2"))
})

test("pooling: what a denied statement is replaced by is answered before the next goes up", () => {
  const talk = behind("transaction", (sql) => (sql.startsWith("DROP") ? new GatewayError("rule_denied") : undefined))
  assert.deepEqual(talk.client(query("DROP TABLE t"), query("SELECT 1")), sync())
  assert.match(talk.server(ready()).toString("latin1"), /42501/)
  assert.deepEqual(talk.again(), query("SELECT 1"))
})

test("pooling: in transaction mode a name is not trusted after the transaction, because others have used the connection", () => {
  const use = (pooler: PostgresPooler) => {
    const talk = behind(pooler)
    talk.client(query("BEGIN"))
    talk.server(complete("BEGIN"), ready("T"))
    talk.client(parse("s", "SELECT 1"), sync())
    talk.server(parsed(), ready("T"))
    for (const status of ["T", "I", "I"] as const) {
      talk.client(bind("", "s"), execute(), sync())
      talk.server(bound(), complete("SELECT 1"), ready(status))
    }
    return talk.actions.slice(1).map(({ sql, unresolved = false }) => [sql, unresolved])
  }
  const sure = ["SELECT 1", false]
  assert.deepEqual(use("session"), [sure, sure, sure])
  assert.deepEqual(use("transaction"), [sure, sure, ["SELECT 1", true]])
})

test("pooling: in transaction mode a statement that is prepared and run in one series is as certain as elsewhere", () => {
  const talk = behind("transaction")
  for (const _ of [1, 2]) {
    talk.client(parse("", "SELECT 1"), bind("", ""), execute(), sync())
    talk.server(parsed(), bound(), complete("SELECT 1"), ready())
  }
  assert(talk.actions.every(({ unresolved }) => !unresolved))
})

test("pooling: a target that does not say what it is is known by its cancel key", () => {
  const keyed = (pid: number, pooler?: PostgresPooler) => poolerOf({ pooler } as PostgresTarget, { pid, secret: Buffer.from("1234") })
  assert.deepEqual(
    [1, 4_194_304, 4_194_305, 0, -7].map((pid) => keyed(pid)),
    ["none", "none", "transaction", "transaction", "transaction"],
  )
  assert.deepEqual([keyed(-7, "none"), keyed(1, "session")], ["none", "session"])
  assert.equal(poolerOf({ pooler: undefined } as PostgresTarget, undefined), "none")
})

test("pooling: it is cancelled again until nothing runs, and what is on its way is waited for", async () => {
  const clock = new FakeClock()
  let silence!: () => void
  const quiet = new Promise<void>((resolve) => (silence = resolve))
  const sent: (() => void)[] = []
  let over = false
  const cancel = () => new Promise<void>((resolve) => sent.push(resolve))
  void cancelUntilQuiet({ clock, quiet, cancel }).then(() => (over = true))
  sent[0]?.()
  await nextTurn()
  clock.advance(limits.postgres_cancel_again_ms)
  await nextTurn()
  assert.equal(sent.length, 2)
  silence()
  await nextTurn()
  assert(!over, "a cancel is on its way")
  sent[1]?.()
  await nextTurn()
  assert(over)
  assert.equal(sent.length, 2)
})

test("pooling: a target that never falls silent is not asked for ever, nor is one that takes no cancel", async () => {
  for (const cancel of [() => Promise.reject(new Error("unreachable")), () => new Promise<void>(() => {})]) {
    const clock = new FakeClock()
    let over = false
    void cancelUntilQuiet({ clock, quiet: new Promise(() => {}), cancel }).then(() => (over = true))
    for (let at = 0; at < limits.postgres_quiet_ms_max; at += limits.postgres_cancel_again_ms) {
      assert(!over)
      clock.advance(limits.postgres_cancel_again_ms)
      await nextTurn()
    }
    await nextTurn()
    assert(over)
  }
})
