// Conversations by chance, in pieces of chance sizes, between a client that mixes everything a client may and a server that follows the
// documentation. Bytes arrive as they were sent, and what is on record is what the server ran. A failure names its seed.
import assert from "node:assert/strict"
import { test } from "node:test"
import { Random } from "../../support/random.ts"
import { bind, closeStatement, Dialogue, execute, parse, query, sync } from "./dialogue.ts"
import { message } from "../../../protocols/postgres/codec.ts"
import { ModelServer } from "./model_server.ts"

const names = ["", "", "a", "b"]
const portals = ["", "", "p"]
let counter = 0

function sql(random: Random): string {
  const some = `SELECT ${counter++}`
  const texts = [some, some, some, some, `FAIL ${counter}`, "BEGIN", "COMMIT", "ROLLBACK", "COPY OUT", ""]
  const renaming = [`PREPARE a AS ${some}`, "DEALLOCATE a", "DEALLOCATE ALL"]
  return random.pick(random.chance(0.1) ? renaming : texts)
}

/** A COPY into the server with its data, which a client may send ahead. */
const copied = (random: Random): Buffer[] => [
  ...Array.from({ length: random.below(4) }, () => message("d", random.bytes(random.below(40)))),
  random.chance(0.8) ? message("c") : message("f", "no"),
]

/** One message or a few that belong together. */
function part(random: Random): Buffer[] {
  const values = Array.from({ length: random.below(3) }, () => (random.chance(0.2) ? null : `v${counter++}`))
  switch (random.below(9)) {
    case 0:
      return [parse(random.pick(names), sql(random))]
    case 1:
      return [bind(random.pick(portals), random.pick(names), values)]
    case 2:
      return [execute(random.pick(portals))]
    case 3:
      return [message("D", Buffer.from(random.pick(["S", "P"])), random.pick(["", "a", "p"]))]
    case 4:
      return [random.chance(0.5) ? closeStatement(random.pick(names)) : message("C", Buffer.from("P"), random.pick(portals))]
    case 5:
      return [message("H")]
    default: {
      const name = random.pick(names)
      const text = sql(random)
      return [parse(name, text), bind("", name, values), execute(), ...(random.chance(0.5) ? [bind("", name, values), execute()] : [])]
    }
  }
}

/** Everything up to the next ReadyForQuery. */
function round(random: Random): Buffer[] {
  if (random.chance(0.2)) return [query(random.chance(0.2) ? `${sql(random) || "SELECT 0"}; SELECT ${counter++}` : sql(random))]
  if (random.chance(0.08)) return [query("COPY IN"), ...copied(random)]
  if (random.chance(0.08)) return [parse("c", "COPY IN"), bind("", "c"), execute(), ...copied(random), closeStatement("c"), sync()]
  return [...Array.from({ length: 1 + random.below(4) }, () => part(random)).flat(), sync()]
}

interface Told {
  readonly unresolved: number
  readonly actions: number
}

function converse(seed: number): Told {
  const random = new Random(seed)
  counter = 0
  const sent = Buffer.concat(Array.from({ length: 1 + random.below(25) }, () => round(random)).flat())
  const dialogue = new Dialogue()
  const server = new ModelServer()
  const said: Buffer[] = []
  const heard: Buffer[] = []
  const up = random.pieces(sent, random.pick([1, 7, 60, 5_000]))
  const down: Buffer[] = []
  const onRecord = () => assert.ok(server.done.length <= dialogue.actions.length, `seed ${seed}: it ran before it was on record`)
  while (up.length > 0 || dialogue.waits || down.length > 0) {
    if (down.length > 0 && (dialogue.waits || up.length === 0 || random.chance(0.5))) {
      heard.push(dialogue.server(down.shift() as Buffer))
      if (dialogue.waits) server.hear(dialogue.again())
    } else {
      assert.ok(!dialogue.waits, `seed ${seed}: the client waits for a server that has nothing to say`)
      server.hear(dialogue.client(up.shift() as Buffer))
    }
    onRecord()
    const more = server.says()
    said.push(more)
    if (more.length > 0) down.push(...random.pieces(more, random.pick([1, 9, 5_000])))
  }
  assert.ok(Buffer.concat(server.heard).equals(sent), `seed ${seed}: the server heard something else`)
  assert.ok(Buffer.concat(heard).equals(Buffer.concat(said)), `seed ${seed}: the client heard something else`)
  return compare(seed, dialogue, server)
}

/** The record against what the server did. */
function compare(seed: number, { actions, outcomes }: Dialogue, { done }: ModelServer): Told {
  assert.equal(actions.length, done.length, `seed ${seed}: as many actions as the server was asked for`)
  assert.deepEqual(
    outcomes.map(({ action }) => action).sort((a, b) => a - b),
    [...actions.keys()],
    `seed ${seed}: one outcome each`,
  )
  let unresolved = 0
  for (const [at, { what, sql: text, values }] of done.entries()) {
    const action = actions[at]!
    const status = outcomes.find((one) => one.action === at)?.status
    if (action.unresolved) unresolved++
    assert.equal(status, what === "ran" ? "ok" : "error", `seed ${seed}: what became of ${at} (${what})`)
    if (what !== "ran" || action.unresolved) continue
    assert.equal(action.sql, text, `seed ${seed}: what ran at ${at}`)
    assert.deepEqual(
      (action.values ?? []).map(({ value }) => value),
      values,
      `seed ${seed}: with which values at ${at}`,
    )
  }
  return { unresolved, actions: actions.length }
}

test("fuzz: in a thousand conversations bytes arrive as sent, and the record is what the server ran", () => {
  const all = Array.from({ length: 1_000 }, (_, seed) => converse(seed + 1))
  const [unresolved, actions] = [all.reduce((sum, one) => sum + one.unresolved, 0), all.reduce((sum, one) => sum + one.actions, 0)]
  assert.ok(actions > 10_000 && unresolved < actions / 4, `${unresolved} of ${actions} without a certain text`)
})
