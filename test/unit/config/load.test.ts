import assert from "node:assert/strict"
import { execFileSync } from "node:child_process"
import { mkdtempSync, readFileSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { test } from "node:test"
import { inspect } from "node:util"
import { generateOpensshKey } from "../../../src/config/openssh_key.ts"
import { loadConfig, type Loaded } from "../../../src/config/load.ts"
import { jsonSchema } from "../../../src/config/schema.ts"
import { scratch } from "../../support/scratch.ts"
import { needs } from "../../support/tools.ts"

const alice = generateOpensshKey("alice").public
const bob = generateOpensshKey("bob").public
const host = generateOpensshKey("host").public

const sound = `
gateway:
  name: gw.example.com
  ssh: {}
identity:
  users:
    - { name: alice, groups: [engineers], ssh_keys: ["${alice}"] }
    - { name: bob, groups: [oncall], ssh_keys: ["${bob}"] }
targets:
  - name: prod-host
    labels: { env: prod }
    ssh: { address: 10.0.0.5:22, logins: [deploy], auth: { password: env:SLUICE_TEST_SECRET }, host_key: "${host}" }
  - name: orders
    postgres: { address: 10.0.0.6:5432, database: orders, roles: { readonly: { password: env:SLUICE_TEST_SECRET } } }
policy:
  access:
    - { who: [engineers], targets: { env: prod }, max: 1h30m, approve: { by: [oncall] } }
`
process.env["SLUICE_TEST_SECRET"] = "hunter2-hunter2"

const root = scratch("config")
const folderOf = (): string => mkdtempSync(join(root, "case-"))

async function load(text: string): Promise<Loaded> {
  const path = join(folderOf(), "sluice.yaml")
  writeFileSync(path, text)
  return loadConfig(path)
}

/** The problems of the sound file with one piece exchanged, as "line:column message". */
async function problemsOf(from: string, to: string): Promise<string[]> {
  assert(sound.includes(from), `the sound file has ${from}`)
  const loaded = await load(sound.replace(from, () => to))
  return loaded.ok ? [] : loaded.problems.map(({ line, column, message }) => `${line}:${column} ${message}`)
}

test("config: a sound file is read with its defaults, and paths are beside it", async () => {
  const folder = folderOf()
  writeFileSync(join(folder, "sluice.yaml"), sound)
  const loaded = await loadConfig(join(folder, "sluice.yaml"))
  assert(loaded.ok, inspect(loaded))
  const { config } = loaded
  assert.equal(config.state, join(folder, "data"))
  assert.deepEqual(config.approvals.store, { kind: "sqlite", path: join(folder, "data", "sluice.db") })
  assert.deepEqual(config.recordings, { dir: join(folder, "data", "recordings"), on_failure: "cut", stream_bytes_max: 16 * 1024 * 1024 })
  assert.deepEqual(config.gateway.ssh, { listen: { host: "0.0.0.0", port: 2222 } })
  assert.equal(config.gateway.postgres, undefined)
  assert.equal(config.gateway.ask_with, "ssh -p 2222 gw.example.com")
  assert.equal(config.approvals.url, "http://127.0.0.1:7070")
  assert.equal(config.approvals.gateway_key, undefined)
  const [ssh, postgres] = config.targets
  assert(ssh?.protocol === "ssh" && "password" in ssh.auth && postgres?.protocol === "postgres")
  assert.equal(ssh.auth.password.reveal(), "hunter2-hunter2")
  assert.equal(postgres.tls, "verify-full")
  assert.deepEqual(config.policy.access[0], {
    who: ["engineers"],
    targets: { labels: { env: "prod" } },
    as: undefined,
    max_ms: 5_400_000,
    approve: { plan: { order: "sequence", steps: [{ by: ["oncall"], count: 1 }] } },
    pending_ms: 24 * 3_600_000,
    reason_required: false,
    actions: null,
    first_use_ms_max: 24 * 3_600_000,
  })
  assert(!inspect(config, { depth: 9 }).includes("hunter2"))
})

test("config: a PostgreSQL store is a URL, by reference when it holds a password, in plain text only on this machine or when told", async () => {
  const storeOf = async (url: string, written = "env:SLUICE_TEST_STORE_URL") => {
    process.env["SLUICE_TEST_STORE_URL"] = url
    const loaded = await load(sound.replace("identity:\n", () => `approvals: { store: "${written}" }\nidentity:\n`))
    return loaded.ok ? loaded.config.approvals.store : loaded.problems.map(({ message }) => message).join()
  }
  const store = await storeOf("postgres://sluice:p%40ss@db.example.com/access?options=-c%20search_path%3Dsluice")
  assert(typeof store === "object" && store.kind === "postgres")
  assert.equal(store.password?.reveal(), "p@ss")
  assert.deepEqual([store.host, store.port, store.database, store.tls], ["db.example.com", 5432, "access", "verify-full"])
  assert.equal(store.options, "-c search_path=sluice")
  assert(!inspect(store).includes("p@ss"))
  assert.equal(((await storeOf("postgres://sluice@127.0.0.1:1/access")) as { tls: string }).tls, "disable")
  assert.match(inspect(await storeOf("postgres://sluice@db/access?sslmode=prefer")), /sslmode is disable, require or verify-full/)
  assert.match(inspect(await storeOf("postgres://sluice@db/access?ssl=0")), /takes sslmode, .*; not "ssl"/)
  assert.match(inspect(await storeOf("postgres://sluice@db")), /names a database/)
  assert.match(inspect(await storeOf("", "postgres://sluice:secret@db/access")), /a URL with a password is not written here/)
  assert.match(inspect(await storeOf("", "mysql://db/access")), /expected sqlite:path or a PostgreSQL URL/)
})

test("config: the example checks, and the schema for editors is the one the types make (npm run schema)", async () => {
  const folder = new URL("../../../config/", import.meta.url)
  const loaded = await loadConfig(new URL("sluice.yaml", folder).pathname)
  assert(loaded.ok, inspect(loaded))
  assert.deepEqual(JSON.parse(readFileSync(new URL("sluice.schema.json", folder), "utf8")), jsonSchema())
  assert.deepEqual(undescribed(jsonSchema()), [], "an editor shows what each key is")
})

test("config: a wrong key is named with its place, the allowed words and the one that was meant", async () => {
  assert.deepEqual(await problemsOf("ssh: {}", "ssh: { lisen: 0.0.0.0:22 }"), [
    '4:10 unknown key "lisen"; did you mean "listen"? allowed here: listen',
  ])
  assert.match(
    (await problemsOf("database: orders", "databse: orders")).join(),
    /14:\d+ database is missing.*unknown key "databse"; did you mean "database"/,
  )
})

test("config: every problem is told at once, in the order of the file", async () => {
  const loaded = await load(readFileSync(new URL("faults.yaml", import.meta.url), "utf8"))
  assert(!loaded.ok)
  const places = loaded.problems.map(({ line, column }) => line * 1000 + column)
  assert.deepEqual(
    places,
    places.toSorted((a, b) => a - b),
  )
  const found = loaded.problems.map(({ line, message }) => `${line} ${message}`)
  // Each line of the file that has a fault says in a comment which words it must be told with.
  const expected = readFileSync(new URL("faults.yaml", import.meta.url), "utf8")
    .split("\n")
    .flatMap((text, index) => [...text.matchAll(/# (.*)$/g)].map(([, words]) => ({ line: index + 1, words: words! })))
  for (const { line, words } of expected)
    assert(
      found.some((problem) => problem.startsWith(`${line} `) && problem.includes(words)),
      `line ${line} should say "${words}"; it says:\n${found.filter((problem) => problem.startsWith(`${line} `)).join("\n")}`,
    )
  assert.equal(loaded.problems.length, expected.length, found.join("\n"))
})

for (const [what, from, to, words] of [
  ["an s3 store", "identity:\n", "recordings: { store: s3://bucket }\nidentity:\n", /s3:\/\/ store is not supported yet/],
  ["keep", "identity:\n", "recordings: { keep: 400d }\nidentity:\n", /removing old recordings is not supported yet/],
] as const)
  test(`config: ${what}: not built yet, and said so by name`, async () => {
    const problems = await problemsOf(from, to)
    assert.equal(problems.length, 1, problems.join("\n"))
    assert.match(problems[0]!, words)
  })

test("config: a target that is logged in to by certificate, and known by a CA", async () => {
  const text = sound.replace("auth: { password: env:SLUICE_TEST_SECRET }, host_key:", "auth: certificate, host_ca:")
  const loaded = await load(text)
  assert(loaded.ok, JSON.stringify(loaded))
  const [target] = loaded.config.targets
  assert(target?.protocol === "ssh")
  assert.deepEqual(target.auth, { certificate: true })
  assert.deepEqual([target.hostKeys.length, target.hostCas.length], [0, 1])
})

test("config: a host that nothing is known of, and a CA that is no key", async () => {
  assert.match((await problemsOf(`, host_key: "${host}"`, "")).join(), /say how the host is known: host_key, or host_ca/)
  assert.match((await problemsOf(`host_key: "${host}"`, "host_ca: [ssh-ed25519 AAAA]")).join(), /cannot be read/)
})

test("config: what is not recorded of a database's statements is a list of patterns, or patterns and columns", async () => {
  const redactOf = async (written: string) => {
    const loaded = await load(sound.replace("database: orders,", `database: orders, redact: ${written},`))
    assert(loaded.ok, inspect(loaded))
    const target = loaded.config.targets[1]
    assert(target?.protocol === "postgres")
    return { patterns: target.redact.patterns.map(({ source }) => source), values: target.redact.values }
  }
  assert.deepEqual(await redactOf("[a+]"), { patterns: ["a+"], values: undefined })
  assert.deepEqual(await redactOf("{ patterns: [a+] }"), { patterns: ["a+"], values: undefined })
  const column = { schema: undefined, table: "users", name: "ssn" }
  assert.deepEqual(await redactOf("{ columns: [users.ssn], unsure: keep }"), {
    patterns: [],
    values: { columns: [column], unsure: "keep" },
  })
  assert.deepEqual((await redactOf("{ columns: [users.ssn] }")).values?.unsure, "hide")
  const problem = (written: string) => problemsOf("database: orders,", `database: orders, redact: ${written},`)
  assert.match(
    (await problem("{ columns: [ssn, a.b.c.d] }")).join(),
    /^14:84 not a column: write column, table\.column or schema\.table\.column$/,
  )
  assert.match((await problem("{ patterns: ['('] }")).join(), /^14:\d+ not a pattern/)
  assert.match((await problem("['(']")).join(), /^14:\d+ not a pattern/)
  assert.match((await problem("{ column: [ssn] }")).join(), /^14:\d+ .*column/)
})

test("config: a secret written into the file is refused and not repeated", async () => {
  const problems = await problemsOf("auth: { password: env:SLUICE_TEST_SECRET }", "auth: { password: correct-horse }")
  assert.match(problems.join(), /^12:\d+ a secret is not written here itself/)
  assert(!problems.join().includes("correct-horse"))
})

test("config: what a reference gave is in no message, even where it does not belong", async () => {
  for (const [from, to] of [
    ["address: 10.0.0.5:22", "address: env:SLUICE_TEST_SECRET"],
    ["name: orders", "name: env:SLUICE_TEST_SECRET"],
    ["max: 1h30m", "max: env:SLUICE_TEST_SECRET"],
    ["who: [engineers]", "who: env:SLUICE_TEST_SECRET"],
    ["targets: { env: prod }", "targets: env:SLUICE_TEST_SECRET"],
    ["database: orders,", "database: orders, tls: env:SLUICE_TEST_SECRET,"],
    [`host_key: "${host}"`, "host_key: env:SLUICE_TEST_SECRET"],
  ] as const) {
    const problems = await problemsOf(from, to)
    assert(!problems.join().includes("hunter2"), problems.join())
    if (to !== "name: env:SLUICE_TEST_SECRET") assert.equal(problems.length, 1, `${to}: ${problems.join("\n")}`)
  }
})

test("config: references that lead nowhere say so at their place", async () => {
  const password = "auth: { password: env:SLUICE_TEST_SECRET }"
  const say = async (reference: string): Promise<string> => (await problemsOf(password, `auth: { password: ${reference} }`)).join()
  assert.match(await say("env:SLUICE_NO_SUCH"), /^12:70 the environment has no SLUICE_NO_SUCH$/)
  assert.match(await say("file:nowhere"), /nowhere cannot be read: there is no such file$/)
  assert.match(await say("file:."), /it is a folder$/)
  assert.match(await say("file:/dev/zero"), /more than 65536 bytes$/)
  assert.match(await say("exec:no-such-program"), /exec:no-such-program cannot be run: there is no such file$/)
  assert.match(await say("\"exec:sh -c 'echo hunter2; exit 3'\""), /exec:sh failed with exit status 3$/)
  assert.match(await say('"exec:cat /dev/zero"'), /exec:cat printed more than 65536 bytes$/)
  assert.match(await say("exec:true"), /exec:true is empty$/)
  assert.match(await say('"env:"'), /names nothing$/)
})

test("config: file: and exec: give their text without the last newline", async () => {
  const folder = folderOf()
  writeFileSync(join(folder, "password"), "from a file\n")
  const text = sound
    .replace("auth: { password: env:SLUICE_TEST_SECRET }", "auth: { password: file:password }")
    .replace(
      "readonly: { password: env:SLUICE_TEST_SECRET }",
      `readonly: { password: "exec:sh -c 'printf \\"from %s\\\\n\\" \\"a program\\"'" }`,
    )
  writeFileSync(join(folder, "sluice.yaml"), text)
  const loaded = await loadConfig(join(folder, "sluice.yaml"))
  assert(loaded.ok, inspect(loaded))
  const [ssh, postgres] = loaded.config.targets
  assert(ssh?.protocol === "ssh" && "password" in ssh.auth && postgres?.protocol === "postgres")
  assert.equal(ssh.auth.password.reveal(), "from a file")
  assert.equal(postgres.roles.get("readonly")?.password?.reveal(), "from a program")
})

test("config: a target's key is checked: there, private, without a passphrase", { skip: needs("ssh-keygen") }, async () => {
  const folder = folderOf()
  const keygen = (name: string, ...options: string[]): unknown => execFileSync("ssh-keygen", ["-q", "-f", join(folder, name), ...options])
  keygen("plain", "-t", "ed25519", "-N", "")
  keygen("locked", "-t", "ed25519", "-N", "a passphrase")
  keygen("weak", "-t", "rsa", "-b", "1024", "-N", "")
  const check = async (from: string, to: string): Promise<string> => {
    writeFileSync(
      join(folder, "sluice.yaml"),
      sound.replace(from, () => to),
    )
    const loaded = await loadConfig(join(folder, "sluice.yaml"))
    return loaded.ok ? "" : loaded.problems.map(({ message }) => message).join("\n")
  }
  const password = "password: env:SLUICE_TEST_SECRET }, host_key"
  assert.equal(await check(password, "key: file:plain }, host_key"), "")
  assert.match(await check(password, "key: file:plain.pub }, host_key"), /this is a public key; the private one is needed/)
  assert.match(await check(password, "key: file:locked }, host_key"), /has a passphrase/)
  assert.match(await check(password, "key: file:sluice.yaml }, host_key"), /not a private key that can be read/)
  assert.match(await check(`"${alice}"`, "file:weak.pub"), /1024 bits; 2048 is the least/)
  assert.match(await check(`"${alice}"`, "file:plain"), /this is a private key; write the public one/)
  assert.equal(await check(`"${alice}"`, "file:plain.pub"), "")
})

test("config: a file that is not there, not YAML, or empty is a problem with a place", async () => {
  const missing = await loadConfig(join(folderOf(), "no.yaml"))
  assert(!missing.ok)
  assert.match(missing.problems[0]!.message, /there is no such file/)
  const broken = await load("gateway: [\n")
  assert(!broken.ok)
  assert.match(broken.problems[0]!.message, /^not YAML: /)
  const empty = await load("")
  assert(!empty.ok)
  assert.deepEqual(
    empty.problems.map(({ message }) => message),
    ["expected keys and values, found nothing", "gateway is missing", "identity is missing"],
  )
})

test("config: a small file cannot become a huge tree", async () => {
  const layers = Array.from(
    { length: 9 },
    (_, index) => `l${index + 1}: &l${index + 1} [${Array.from({ length: 9 }, () => `*l${index}`).join(", ")}]`,
  )
  const loaded = await load(`l0: &l0 x\n${layers.join("\n")}\n`)
  assert(!loaded.ok)
  assert.match(loaded.problems[0]!.message, /alias/i)
})

test("config: a rule's actions are read as its targets' kind writes them, and told at their own place when they are none", async () => {
  const end = "approve: { by: [oncall] } }"
  const told = (more: string): Promise<string[]> => problemsOf(end, `approve: { by: [oncall] }, ${more} }`)
  assert.deepEqual(await told('actions: ["uptime", "sha256:1"]'), ["17:110 after sha256: come 64 hexadecimal digits"])
  assert.deepEqual(await told('actions: " "'), ["17:99 an action is not empty"])
  assert.match((await told("methods: [GET]")).join(), /only HTTP targets have methods/)
  assert.match((await told("methods: [GET], actions: [uptime]")).join(), /write either actions or methods/)
  const both = await problemsOf("targets: { env: prod }", "actions: [uptime], targets: [prod-host, orders]")
  assert.match(both.join(), /several kinds of targets: write one for each kind/)
  const loaded = await load(
    sound
      .replace("policy:\n", '  - { name: web, http: { url: "http://10.0.0.7", escaped_slashes: pass } }\npolicy:\n')
      .replace(
        "access:\n",
        "access:\n    - { who: bob, targets: web, max: 1h, approve: auto, methods: [HEAD, GET, WEBSOCKET], first_use: deny }\n",
      )
      .replace(end, `approve: { by: [oncall] }, actions: [uptime, "ls *"], first_use: 8h }`),
  )
  assert(loaded.ok, inspect(loaded))
  const web = loaded.config.targets.find(({ name }) => name === "web")
  assert.equal(web?.protocol === "http" && web.escaped_slashes, "pass")
  assert.deepEqual(
    loaded.config.policy.access.map(({ actions, first_use_ms_max }) => [actions, first_use_ms_max]),
    [
      [["GET /*", "HEAD /*", "WEBSOCKET /*"], 0],
      [["ls *", "uptime"], 8 * 3_600_000],
    ],
  )
})

test("config: a workload says whose token it is and what must be in it; its groups are machines' own", async () => {
  const workload = (change: string): string =>
    sound.replace(
      "targets:",
      `  workloads:\n    - { issuer: "https://ci.example", audience: sluice, match: { repository: acme/shop }, name: "ci:acme/shop", groups: [ci]${change} }\ntargets:`,
    )
  const loaded = await load(workload(""))
  assert(loaded.ok, inspect(loaded))
  const [first] = loaded.config.identity.workloads
  assert.deepEqual([first?.name, first?.match, first?.max_age_ms], ["ci:acme/shop", { repository: ["acme/shop"] }, 3_600_000])
  const problem = async (from: string, to: string): Promise<string> => {
    const answer = await load(workload("").replace(from, to))
    assert(!answer.ok, `${to} is a fault`)
    return answer.problems.map(({ message }) => message).join("\n")
  }
  assert.match(await problem("match: { repository: acme/shop }", "match: {}"), /at least one claim/)
  assert.match(await problem("repository: acme/shop", 'repository: "*"'), /a star alone, or nothing, matches whatever comes/)
  assert.match(await problem("repository: acme/shop", "repository: { a: b }"), /expected/)
  assert.match(await problem("https://ci.example", "http://ci.example"), /https:\/\/ is needed/)
  assert.match(await problem("https://ci.example", "ci.example"), /expected a URL/)
  assert.match(await problem("groups: [ci]", "groups: [engineers]"), /is people's: give machines groups of their own/)
  assert.match(await problem('"ci:acme/shop"', "alice"), /is the name of somebody else/)
  assert.match(await problem('"ci:acme/shop"', '"/ci shop"'), /make a name/)
  assert.match(await problem("groups: [ci]", "groups: [ci], max_age: 2d"), /from 1m to 24h/)
})

test("config: where a rule has hours no grant waits for its first use, unless the rule says so", async () => {
  const end = "approve: { by: [oncall] } }"
  const wait = async (more: string): Promise<number | undefined> => {
    const loaded = await load(sound.replace(end, `approve: { by: [oncall] }${more} }`))
    assert(loaded.ok, inspect(loaded))
    return loaded.config.policy.access[0]?.first_use_ms_max
  }
  const hours = ', schedule: { days: mon-fri, hours: "09:00-17:00", zone: Europe/Berlin }'
  assert.equal(await wait(""), 24 * 3_600_000)
  assert.equal(await wait(hours), 0)
  assert.equal(await wait(`${hours}, first_use: 1h`), 3_600_000)
})

/** Paths of the schema's keys that say nothing about themselves. */
function undescribed(schema: unknown, path: readonly string[] = []): string[] {
  if (typeof schema !== "object" || schema === null) return []
  const keys = "properties" in schema ? Object.entries(schema.properties as Record<string, { readonly description?: string }>) : []
  return [
    ...keys.flatMap(([key, inner]) => [...(inner.description ? [] : [[...path, key].join(".")]), ...undescribed(inner, [...path, key])]),
    ...Object.entries(schema).flatMap(([word, inner]) => (word === "properties" ? [] : undescribed(inner, path))),
  ]
}
