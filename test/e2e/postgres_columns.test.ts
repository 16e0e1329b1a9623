// Values of protected columns with psql and node-postgres: the server gets them, and neither a recording, nor who approves, nor the log
// does.
import assert from "node:assert/strict"
import { readdirSync, readFileSync, statSync } from "node:fs"
import { join } from "node:path"
import { after, before, suite, test } from "node:test"
import { pgClient, psql } from "../support/clients.ts"
import { type People, people } from "../support/people.ts"
import { type Postgres, startPostgres } from "../support/postgres.ts"
import { must } from "../support/run.ts"
import { type Sluice, startSluice } from "../support/sluice.ts"
import { postgresTarget } from "../support/sluice_config.ts"
import { needs } from "../support/tools.ts"
import { eventually } from "../support/wait.ts"

suite("values of protected columns", { skip: needs("psql"), concurrency: 1 }, () => {
  const { alice, bob }: People = people()
  let postgres: Postgres
  let sluice: Sluice
  const secrets = ["078-05-1120", "219-09-9999", "457-55-5462"] as const

  before(async () => {
    postgres = await startPostgres()
    await postgres.admin("CREATE TABLE users (id int PRIMARY KEY, name text, ssn text)")
    await postgres.admin(`GRANT ALL ON users TO ${postgres.role}`)
    const redact = { columns: ["users.ssn"] }
    const policy = {
      access: [{ who: ["engineers"], targets: "orders", max: "8h", approve: { by: ["oncall"] } }],
      actions: [{ targets: "orders", postgres: { kinds: ["delete"] }, then: "hold", approve: { by: ["oncall"] } }],
    }
    sluice = await startSluice({ users: [alice, bob], targets: [postgresTarget("orders", postgres, { redact })], policy })
    await sluice.grant(alice, "orders", { by: bob, for: "1h" })
  })
  after(async () => {
    await sluice?.stop()
    await postgres?.stop()
  })

  const login = () => ({ sluice, person: alice, target: "orders" })
  const stored = async () => (await postgres.admin("SELECT id, ssn FROM users ORDER BY id")).map(({ id, ssn }) => [id, ssn])
  const statements = () =>
    sluice
      .recorded()
      .flatMap((id) => sluice.recording(id))
      .flatMap((line) => (line.kind === "action" && line.action.kind === "postgres.statement" ? [line.action] : []))

  test("psql: what it writes and looks for is done, and is not on record", async () => {
    const commands = [
      `INSERT INTO users VALUES (1, 'ada', '${secrets[0]}')`,
      `SELECT name FROM users WHERE ssn = '${secrets[0]}' AND id = 1`,
    ].flatMap((sql) => ["-c", sql])
    const said = await must(...(await psql(login(), postgres.role, ["-At", ...commands])))
    assert.equal(said, "INSERT 0 1\nada\n")
    assert.deepEqual(await stored(), [[1, secrets[0]]])
    assert.deepEqual(
      statements().map(({ sql }) => sql),
      ["INSERT INTO users VALUES ('[secret]', '[secret]', '[secret]')", "SELECT name FROM users WHERE ssn = '[secret]' AND id = 1"],
    )
  })

  test("node-postgres: of the bound values only those of the column are gone; what approvers see has none either", async () => {
    const client = await pgClient(login(), postgres.role)
    await client.query("INSERT INTO users (id, name, ssn) VALUES ($1, $2, $3)", [2, "bob", secrets[1]])
    await client.query({ name: "by", text: "UPDATE users SET ssn = $2 WHERE id = $1", values: [2, secrets[2]] })
    assert.deepEqual(await stored(), [
      [1, secrets[0]],
      [2, secrets[2]],
    ])
    const deleted = client.query("DELETE FROM users WHERE ssn = $1 AND name <> $2", [secrets[2], "nobody"])
    const waiting = async () => (await sluice.api(bob).call("requests", { query: { status: "pending" } })).requests[0]
    const { id } = await eventually("somebody to be asked", waiting)
    const { action } = await sluice.api(bob).call("request", { id, query: {} })
    assert.deepEqual(
      [action?.text, action?.values, action?.notes],
      ["DELETE FROM users WHERE ssn = $1 AND name <> $2", ["[secret]", "nobody"], ["a secret in it is not shown"]],
    )
    await sluice.api(bob).call("approve", { id, body: {} })
    assert.equal((await deleted).rowCount, 1)
    await client.end()
    assert.deepEqual(
      statements().flatMap(({ values }) => (values ? [values.map(({ value }) => value)] : [])),
      [
        ["2", "bob", "[secret]"],
        ["2", "[secret]"],
        ["[secret]", "nobody"],
      ],
    )
  })

  test("no file of the gateway and no line of its log has one of them", () => {
    const files = readdirSync(sluice.folder, { recursive: true, encoding: "utf8" })
      .map((name) => join(sluice.folder, name))
      .filter((path) => statSync(path).isFile())
    assert.ok(files.some((path) => readFileSync(path).includes("[secret]")))
    for (const secret of secrets) {
      assert.deepEqual(
        files.filter((path) => readFileSync(path).includes(secret)),
        [],
      )
      assert.ok(!sluice.log().includes(secret))
    }
  })
})
