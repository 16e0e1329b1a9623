import assert from "node:assert/strict"
import { after, before, test } from "node:test"
import { createApiClient, type ApiClient } from "../../../src/api/client.ts"
import type { GrantView, RequestView, SessionView } from "../../../src/api/schema.ts"
import { createVerbs } from "../../../src/cli/over_ssh.ts"
import type { Config } from "../../../src/config/config.ts"
import { loadConfig } from "../../../src/config/load.ts"
import { openState } from "../../../src/config/state.ts"
import { mintIdentity } from "../../../src/core/identity.ts"
import { newSessionId } from "../../../src/core/ids.ts"
import { Secret } from "../../../src/core/secret.ts"
import type { Verbs } from "../../../src/gateway/contract.ts"
import { people, type Person } from "../../support/people.ts"
import { startSluice, type Sluice } from "../../support/sluice.ts"
import { gatewayKey } from "../../support/sluice_config.ts"

const { alice, bob, dana } = people()
const hostKey = alice.publicKey.split(" ").slice(0, 2).join(" ")
const targets = [
  {
    name: "prod-host",
    ssh: { address: "127.0.0.1:1", logins: ["deploy", "root"], auth: { key: `file:${alice.file}` }, host_key: hostKey },
  },
  { name: "secret-host", ssh: { address: "127.0.0.1:1", logins: ["root"], auth: { key: `file:${alice.file}` }, host_key: hostKey } },
  { name: "orders", postgres: { address: "127.0.0.1:1", database: "orders", tls: "disable", roles: { readonly: {} } } },
]
const policy = {
  admins: ["admins"],
  access: [
    { who: ["oncall"], targets: ["orders"], max: "1h", approve: "auto" },
    { who: ["engineers"], targets: ["prod-host", "orders"], max: "4h", approve: { by: ["oncall"], count: 1 } },
  ],
}

let sluice: Sluice
let gatewayApi: ApiClient
let verbs: Verbs
let config: Config

before(async () => {
  sluice = await startSluice({ users: [alice, bob, dana], targets, policy, role: "approvals", gateway: { ask_with: "ssh gw" } })
  const loaded = await loadConfig(sluice.configFile)
  assert.ok(loaded.ok)
  config = loaded.config
  const apiUrl = `http://127.0.0.1:${sluice.port("approvals")}`
  gatewayApi = createApiClient({ url: apiUrl, credential: () => new Secret(gatewayKey) })
  verbs = createVerbs({ current: () => config, keys: (await openState(config.state)).keys, gatewayApi, apiUrl })
})

after(async () => {
  await gatewayApi.close()
  await sluice.stop()
})

interface Ran {
  readonly status: number
  readonly out: string
  readonly err: string
}

async function ran(
  person: Person,
  words: readonly string[],
  { signal, heard }: { signal?: AbortSignal; heard?: (err: string) => void } = {},
): Promise<Ran> {
  const identity = mintIdentity({ subject: person.name, groups: person.groups, via: "ssh-key SHA256:x", until: Infinity })
  let [out, err] = ["", ""]
  const error = (text: string): void => {
    err += text
    heard?.(err)
  }
  const io = { write: (text: string) => void (out += text), error, signal: signal ?? new AbortController().signal, columns: 200 }
  return { status: await verbs(identity, words, io), out, err }
}

async function json<T>(person: Person, ...words: string[]): Promise<T> {
  const { status, out, err } = await ran(person, [...words, "--json"])
  assert.equal(status, 0, err)
  return JSON.parse(out) as T
}

const ask = (person: Person, ...words: string[]): Promise<RequestView> => json(person, "request", "prod-host", "--for", "1h", ...words)

test("verbs: ask, see it waiting, approve, see what was approved, use it", async () => {
  const asked = await ran(alice, ["request", "prod-host", "--for", "1h", "--as", "root", "--as", "deploy", "--reason", "INC-7: pods crash"])
  assert.equal(asked.status, 0, asked.err)
  const [, id = ""] =
    /Request (\d+) for prod-host as deploy, root, 1h, needs one approval of oncall.*ssh gw approve \1/.exec(asked.out) ?? []
  assert.ok(id, asked.out)
  assert.match(asked.out, new RegExp(`\\nor on its page: http://.*/requests/${id}\\n`))
  const waiting = await ran(bob, [])
  assert.match(waiting.out, /^You are bob@example\.com \(oncall\)\./)
  assert.match(waiting.out, new RegExp(`Waiting for you\\n.*\\n${id} .*alice@example.com.*INC-7: pods crash\\nssh gw approve ${id}\\n`))
  const approved = await ran(bob, ["approve", `#${id}`])
  assert.equal(approved.status, 0)
  assert.match(approved.out, new RegExp(`Request ${id} is approved.`))
  for (const fact of [
    "who     alice@example.com",
    "target  prod-host",
    "as      deploy, root",
    "reason  INC-7: pods crash",
    "for     1h",
    "end     until ",
  ]) {
    assert.ok(approved.out.includes(fact), fact)
  }
  const mine = await ran(alice, [])
  assert.match(mine.out, /Your grants\n.*\ng_\w{16} .*prod-host as deploy, root.*ends .*, in (1h|59m\d+s)/)
  assert.match(mine.out, /\nssh -J gw deploy@prod-host\n/)
})

test("verbs: nobody approves their own request, and is told what to do instead", async () => {
  const { id } = await ask(alice, "--reason", "mine")
  const { status, err } = await ran(alice, ["approve", String(id)])
  assert.equal(status, 1)
  assert.equal(
    err,
    "sluice: nobody approves their own request\nAsk a colleague who may: it is in their list of requests, and on its page.\n",
  )
  const machine = await ran(alice, ["approve", String(id), "--json"])
  assert.equal((JSON.parse(machine.out) as { error: { code: string } }).error.code, "own_request")
  assert.deepEqual([machine.status, machine.err], [1, ""])
  assert.equal((await ran(alice, ["withdraw", String(id)])).status, 0)
})

test("verbs: a rule that approves says so at once, with the line to use", async () => {
  const { status, out } = await ran(bob, ["request", "orders", "--for", "30m", "--wait"])
  assert.equal(status, 0)
  assert.match(out, /was approved by a rule: orders until .*, grant g_/)
  assert.ok(
    out.includes(
      'ssh gw ca > sluice-ca.crt && PGPASSWORD=$(ssh gw token orders) psql "host=gw.test port=0 dbname=orders user=readonly sslmode=verify-full sslrootcert=sluice-ca.crt"',
    ),
  )
})

test("verbs: --wait ends with the decision, and its exit status says which", async () => {
  for (const [decide, status, words] of [
    [["approve"], 0, /was approved by bob@example\.com: prod-host/],
    [["deny", "--reason", "not \u0041gain"], 1, /was denied by bob@example\.com: not Again/],
  ] as const) {
    const asked = Promise.withResolvers<string>()
    const heard = (err: string): void => {
      const [, id] = /Request (\d+) [^]*\nWaiting for a decision/.exec(err) ?? []
      if (id !== undefined) asked.resolve(id)
    }
    const waiting = ran(alice, ["request", "prod-host", "--for", "1h", "--reason", decide[0], "--wait"], { heard })
    const [verb, ...more] = decide
    await ran(bob, [verb, await asked.promise, ...more])
    const over = await waiting
    assert.equal(over.status, status)
    assert.match(over.out, words)
  }
})

test("verbs: Ctrl-C while waiting takes the request back", async () => {
  const stop = new AbortController()
  const heard = (err: string): void => {
    if (err.includes("Waiting for a decision")) stop.abort()
  }
  const { err } = await ran(alice, ["request", "prod-host", "--for", "2h", "--reason", "gone", "--wait"], { signal: stop.signal, heard })
  const [, id] = /Request (\d+) was taken back/.exec(err) ?? []
  const { requests } = await json<{ requests: RequestView[] }>(alice, "requests")
  assert.equal(requests.find((request) => request.id === Number(id))?.status, "withdrawn")
})

test("verbs: revoke and drop end grants, and the list of all says who did it and why", async () => {
  const first = await ask(alice, "--reason", "one", "--as", "root")
  const second = await ask(alice, "--reason", "two", "--as", "deploy")
  const grantOf = async (id: number): Promise<GrantView> => (await json<RequestView>(bob, "approve", String(id))).grant!
  const revoked = await grantOf(first.id)
  const dropped = await grantOf(second.id)
  assert.match(
    (await ran(bob, ["revoke", revoked.id, "--reason", "over"])).out,
    /alice@example\.com has no access to prod-host as root any more/,
  )
  assert.match((await ran(alice, ["drop", dropped.id])).out, /You gave back prod-host as deploy/)
  const all = (await ran(alice, ["grants", "--all"])).out
  assert.match(all, new RegExp(`${revoked.id} .*revoked \\d\\d:\\d\\d:\\d\\d by bob@example.com: over`))
  assert.match(all, new RegExp(`${dropped.id} .*dropped`))
  assert.ok(!(await ran(alice, ["grants"])).out.includes(revoked.id))
  assert.equal((await ran(bob, ["revoke", revoked.id])).status, 1)
})

test("verbs: sessions are listed and killed by those who may", async () => {
  const { id } = await ask(alice, "--reason", "session")
  const { grant } = await json<RequestView>(bob, "approve", String(id))
  const session: Omit<SessionView, "ended_at" | "ended_why"> = {
    id: newSessionId(),
    gateway: "gw.test",
    protocol: "ssh",
    subject: alice.name,
    target: "prod-host",
    as: "root",
    grant: grant!.id,
    client: "192.0.2.7:1",
    started_at: Date.now(),
  }
  await gatewayApi.call("report", { body: { gateway: "gw.test", reports: [{ event: "started", session }] } })
  assert.match(
    (await ran(alice, ["sessions", "--live"])).out,
    /s_\w{16}  alice@example\.com  prod-host as root \(ssh\)  192\.0\.2\.7:1 .* live/,
  )
  assert.match(
    (await ran(dana, ["kill", session.id, "--reason", "wrong host"])).out,
    /Session s_\w{16} of alice@example\.com on prod-host is being ended/,
  )
  assert.equal((await ran(alice, ["sessions", "--live"])).status, 0)
})

test("verbs: token prints the token alone, for the use that was asked for", async () => {
  const audience = (token: string): unknown =>
    (JSON.parse(Buffer.from(token.split(".")[1]!, "base64url").toString()) as { aud: unknown }).aud
  const { out, err } = await ran(alice, ["token", "orders"])
  assert.match(out, /^[\w-]+\.[\w-]+\.[\w-]+\n$/)
  assert.match(err, /^good until .* UTC/)
  assert.equal(audience(out), "sluice:target:orders")
  assert.equal(audience((await ran(alice, ["token", "--for", "orders"])).out), "sluice:target:orders")
  assert.equal(audience((await ran(alice, ["token"])).out), "sluice:targets")
  const api = await json<{ token: string; url: string }>(alice, "token", "--api")
  assert.equal(audience(api.token), "sluice:api")
  assert.equal(api.url, `http://127.0.0.1:${sluice.port("approvals")}`)
  for (const words of [
    ["token", "orders", "--api"],
    ["token", "orders", "--for", "prod-host"],
  ])
    assert.equal((await ran(alice, words)).status, 2)
})

test("verbs: what to paste names the targets one may ask for, and no other", async () => {
  const { out } = await ran(alice, ["ssh-config"])
  assert.match(out, /\nHost gw\n  HostName gw\.test\n/)
  assert.match(out, /\nHost prod-host\n  ProxyJump gw\n/)
  assert.match(out, /\n@cert-authority gw\.test,.*,prod-host ssh-ed25519 AAAA\S+ gw\.test host CA\n/)
  assert.ok(!out.includes("secret-host"))
  assert.match(
    (await ran(alice, ["pg-service"])).out,
    /\[orders\]\nhost=gw\.test\nport=0\ndbname=orders\nuser=readonly\nsslmode=verify-full\n/,
  )
  assert.match((await ran(alice, ["ca"])).err, /there is no CA yet\nIt is made when the gateway starts/)
  assert.match((await ran(dana, ["pg-service"])).out, /no rule lets you/)
})

test("verbs: misuse is 2 and says how it is meant; refused is 1", async () => {
  for (const words of [
    ["bogus"],
    ["approve"],
    ["approve", "x"],
    ["approve", "0"],
    ["request", "prod-host"],
    ["request", "x", "--for", "1y"],
    ["kill", "s_1", "--reason", "x"],
    ["request", "prod-host", "--for", "1h", "--at", "2026-01-15 14:00"],
    ["start"],
    ["replay", "/etc/passwd"],
    ["check"],
    ["request", "prod-host", "--for", "9h"],
  ]) {
    const { status, out, err } = await ran(alice, words)
    assert.equal(status, 2, words.join(" "))
    assert.equal(out, "")
    assert.notEqual(err, "")
  }
  assert.equal((await ran(alice, ["request", "secret-host", "--for", "1h"])).status, 1)
  assert.equal((await ran(alice, ["--help"])).status, 0)
  assert.match((await ran(alice, ["--help"])).out, /Usage: ssh gw/)
  assert.equal((await ran(alice, ["help"])).out, (await ran(alice, ["--help"])).out, "ssh(1) takes --help for its own")
  assert.equal((await ran(alice, ["help", "ca", "rotate"])).out, (await ran(alice, ["ca", "rotate", "--help"])).out)
  const unknown = await ran(alice, ["request", "no-such-host", "--for", "1h"])
  assert.equal(unknown.err, (await ran(alice, ["request", "secret-host", "--for", "1h"])).err, "unknown and forbidden are the same")
})

test("verbs: single actions are asked for in the person's own words, and read by the approver as they would run", async () => {
  const words = ["request", "prod-host", "--for", "1h", "--action", "systemctl", "restart", "*", "--action", "uptime", "--uses", "3"]
  const asked = await ran(alice, [...words, "--reason", "INC-9"])
  assert.equal(asked.status, 0, asked.err)
  const lines = "Only for these actions, 3 uses:\n  systemctl restart *\n  uptime\n"
  assert.ok(asked.out.includes(lines), asked.out)
  const [, id = ""] = /Request (\d+)/.exec(asked.out) ?? []
  const list = await ran(bob, ["requests", "--pending"])
  assert.match(list.out, new RegExp(`\\n${id} .* 1h, 3 uses .*`))
  assert.ok(list.out.includes(`Request ${id}, only for these actions:\n  systemctl restart *\n  uptime\n`), list.out)
  const approved = await ran(bob, ["approve", id])
  assert.ok(approved.out.includes("  action  systemctl restart *\n  action  uptime\n  uses    3 uses\n"), approved.out)
  const mine = await ran(alice, ["grants"])
  const [grant = ""] = /g_\w{16}/.exec(approved.out) ?? []
  assert.match(mine.out, new RegExp(`\\n${grant} .*, 3 uses\\n`))
  assert.ok(mine.out.includes(`${grant}, only for these actions:\n  systemctl restart *\n  uptime\n`), mine.out)
})

test("verbs: an action that would forge the approver's page is shown as its escapes, and one that is none says why", async () => {
  const forged = "uptime\n  uses    none\u202e"
  const { id } = await json<RequestView>(alice, "request", "prod-host", "--for", "1h", "--action", forged)
  const approved = await ran(bob, ["approve", String(id)])
  assert.ok(approved.out.includes("  action  uptime\\n  uses    none\\u{202e}\n"), approved.out)
  for (const wrong of [
    ["--action", "sha256:1"],
    ["--uses", "0"],
    ["--uses", "many"],
  ]) {
    const { status, err } = await ran(alice, ["request", "prod-host", "--for", "1h", ...wrong])
    assert.equal(status, 2, err)
    assert.match(err, /64 hexadecimal digits|whole number/)
  }
})

test("verbs: a grant that waits for its first use says its deadline, and wants one", async () => {
  const words = ["request", "prod-host", "--for", "1h", "--as", "deploy", "--start", "first-use"]
  const without = await ran(alice, words)
  assert.deepEqual([without.status, without.out], [2, ""])
  assert.match(without.err, /--start first-use --use-by 8h/)
  assert.equal((await ran(alice, ["request", "prod-host", "--for", "1h", "--use-by", "8h"])).status, 2)
  const { id } = await json<RequestView>(alice, ...words, "--use-by", "8h")
  const approved = await ran(bob, ["approve", String(id)])
  assert.match(approved.out, /\n {2}start {3}with its first use, before .* \(in 8h\)\n/)
  assert.match((await ran(alice, ["grants"])).out, /1h from its first use, before \d\d/)
})

test("verbs: extend asks for a later end of the same grant, and the one who approves reads until when", async () => {
  const { id } = await json<RequestView>(alice, "request", "prod-host", "--for", "1h", "--as", "root", "--action", "id")
  const [grant = ""] = /g_\w{16}/.exec((await ran(bob, ["approve", String(id)])).out) ?? []
  const asked = await ran(alice, ["extend", grant, "--for", "30m", "--reason", "still", "at", "it"])
  assert.equal(asked.status, 0, asked.err)
  const [, extension = ""] =
    new RegExp(`^Request (\\d+) to extend prod-host as root \\(grant ${grant}\\) until .* \\(in 1h(?:29|30)m.*\\) needs one approval`).exec(
      asked.out,
    ) ?? []
  assert.ok(extension, asked.out)
  assert.match((await ran(bob, ["requests"])).out, new RegExp(`\\n${extension} .* 30m more, until \\d.* UTC .*still at it`))
  const approved = await ran(bob, ["approve", extension])
  assert.match(approved.out, new RegExp(`for {5}30m more\\n {2}rule .*\\n {2}end {5}until .*\\n {2}grant {3}${grant}`))
  await ran(alice, ["drop", grant])
  const late = await ran(alice, ["extend", grant, "--for", "30m"])
  assert.equal(late.status, 1)
  assert.match(late.err, /the grant has ended, and nothing brings it back/)
})

test("verbs: a start in a zone's own time is read back in UTC by the one who asks and the one who decides", async () => {
  const year = new Date().getUTCFullYear() + 1
  const soon = new Date(Date.now() + 20 * 86_400_000).toISOString().slice(0, 10)
  const asked = await ran(alice, ["request", "prod-host", "--for", "1h", "--as", "deploy", "--at", `${soon}T12:00`, "Asia/Kolkata"])
  assert.equal(asked.status, 0, asked.err)
  assert.match(asked.out, new RegExp(`prod-host as deploy, 1h from ${soon} 06:30:00 UTC \\(in \\d+d`))
  const [, id = ""] = /Request (\d+)/.exec(asked.out) ?? []
  assert.match((await ran(bob, ["requests"])).out, new RegExp(`\\n${id} .* 1h, from ${soon} 06:30:00 UTC `))
  for (const [at, words] of [
    [`${soon}T12:00`, /A time says its zone/],
    [`${soon}T12:00 Mars/Olympus`, /no time zone Mars/],
    [`${year + 1}-01-01T12:00Z`, /too far ahead/],
    ["2020-01-01T12:00Z", /in the past/],
  ] as const) {
    const wrong = await ran(alice, ["request", "prod-host", "--for", "1h", "--at", at])
    assert.deepEqual([wrong.status, wrong.out], [2, ""], at)
    assert.match(wrong.err, words)
  }
})

test("verbs: login prints a link that signs a browser in, and says how long it is good", async () => {
  const { out } = await ran(alice, ["login"])
  const [, url = ""] = /^(http:\S+)\nOpen it in your browser; it works once, until .* UTC \(in [12]m.*\)\.\n$/.exec(out) ?? []
  const page = await (await fetch(url)).text()
  assert.match(page, /Sign in as <bdi>alice@example\.com<\/bdi>\?/)
})

test("verbs: an administrator sees who there is, disables somebody and enables them again; nobody else does", async () => {
  assert.match((await ran(dana, ["people"])).out, /^NAME +GROUPS +FROM[^]*\nbob@example\.com +oncall +config/)
  assert.equal((await ran(alice, ["people"])).status, 1)
  assert.equal((await ran(alice, ["disable", bob.name, "--reason", "x"])).status, 1)
  const gone = await ran(dana, ["disable", bob.name, "--reason", "on", "leave"])
  assert.equal(gone.out, "bob@example.com is disabled: logged out everywhere, and without access.\n")
  assert.match((await ran(dana, ["people"])).out, /bob@example\.com +oncall +config +disabled by dana@example\.com: on leave/)
  assert.equal((await ran(bob, ["whoami"])).status, 1)
  const own = await ran(dana, ["disable", dana.name, "--reason", "x"])
  assert.deepEqual([own.status, /nobody disables themselves/.test(own.err)], [2, true])
  assert.equal((await ran(dana, ["enable", bob.name])).out, "bob@example.com may come in again.\n")
  assert.equal((await ran(bob, ["whoami"])).status, 0)
})
