import assert from "node:assert/strict"
import { writeFileSync } from "node:fs"
import { join } from "node:path"
import { before, describe, test } from "node:test"
import { stringify } from "yaml"
import { loadParser, readStatement } from "../../../src/classify/read_statement.ts"
import { loadConfig } from "../../../src/config/load.ts"
import type { Action } from "../../../src/core/action.ts"
import { type ActionRule, decideAction, rulesFor } from "../../../src/core/action_rules.ts"
import { people } from "../../support/people.ts"
import { scratch } from "../../support/scratch.ts"

const folder = scratch("action_rules")
const { alice, bob } = people()
const targets = [
  {
    name: "host",
    labels: { env: "prod" },
    ssh: { address: "127.0.0.1:22", logins: ["root", "deploy"], auth: { password: "env:HOME" }, host_key: alice.publicKey },
  },
  { name: "db", labels: { env: "prod" }, postgres: { address: "127.0.0.1:5432", database: "db", tls: "disable", roles: { app: {} } } },
  { name: "web", labels: { env: "test" }, http: { url: "http://127.0.0.1:1" } },
]
const access = [{ who: ["engineers"], targets: ["host", "db", "web"], max: "8h", approve: { by: ["oncall"] } }]

/** As the file would say it, read by what reads the file. */
async function load(actions: readonly object[]): Promise<{ rules: readonly ActionRule[]; problems: string[] }> {
  const file = join(folder, "sluice.yaml")
  const users = [alice, bob].map(({ name, groups, publicKey }) => ({ name, groups, ssh_keys: [publicKey] }))
  writeFileSync(file, stringify({ gateway: { name: "gw.test" }, identity: { users }, targets, policy: { access, actions } }))
  const loaded = await loadConfig(file)
  if (loaded.ok) return { rules: loaded.config.policy.actions, problems: [] }
  return { rules: [], problems: loaded.problems.map(({ line, column, message }) => `${line > 1 && column > 1}: ${message}`) }
}

async function rules(actions: readonly object[]): Promise<readonly ActionRule[]> {
  const { rules: read, problems } = await load(actions)
  assert.deepEqual(problems, [])
  return read
}

const on = { host: "ssh", db: "postgres", web: "http" } as const
function decided(all: readonly ActionRule[], where: keyof typeof on, action: Action, as?: string): string {
  const target = { name: where, labels: { env: where === "web" ? "test" : "prod" }, protocol: on[where] }
  const mine = rulesFor(all, { person: { name: alice.name, groups: alice.groups }, target, as })
  const { verdict, rule } = decideAction(mine, action, action.kind === "postgres.statement" ? readStatement(action.sql) : undefined)
  return rule === undefined ? verdict : `${verdict} ${rule.index}`
}

const sql = (text: string): Action => ({ kind: "postgres.statement", how: "simple", sql: text })
const exec = (command: string): Action => ({ kind: "ssh.exec", channel: 0, command })
const http = (method: string, path: string): Action => ({ kind: "http.request", method, path, query: [] })

describe("rules for single actions", () => {
  before(() => loadParser())

  test("the first that matches decides; none: the grant alone", async () => {
    const all = await rules([
      { targets: "web", http: { methods: "DELETE", path: "/api/tmp/*" }, then: "allow" },
      { targets: { env: "test" }, http: { methods: ["DELETE", "PUT"], path: "/api/*" }, then: "deny", say: "not here" },
      { http: { path: "/admin" }, then: "flag" },
    ])
    assert.equal(decided(all, "web", http("DELETE", "/api/tmp/1")), "allow 0")
    assert.equal(decided(all, "web", http("DELETE", "/api/users/1")), "deny 1")
    assert.equal(decided(all, "web", http("GET", "/api/users/1")), "allow")
    assert.equal(decided(all, "web", http("GET", "/admin")), "flag 2")
    const taken_for_it = ["/Api/users", "//api/users", "/api//users", "/api;v=1/users", "/ap%69/users", "/api/users/", "/%41PI/users"]
    for (const path of taken_for_it) assert.equal(decided(all, "web", http("DELETE", path)), "deny 1", path)
    for (const path of ["/admin/", "/ADMIN", "/admin;x", "//admin//"]) assert.equal(decided(all, "web", http("GET", path)), "flag 2", path)
    for (const path of ["/Api/tmp/1", "/api//tmp/1"])
      assert.equal(decided(all, "web", http("DELETE", path)), "deny 1", "allowed is what it says")
    for (const path of ["/administrators", "/apis/1", "/"]) assert.equal(decided(all, "web", http("DELETE", path)), "allow", path)
    assert.equal(decided(all, "host", exec("ls")), "allow")
  })

  test("http: what forbids GET forbids what an application may take for one, and what allows it does not", async () => {
    const live: Action = { kind: "http.request", method: "GET", path: "/api/x", query: [], upgrade: "websocket" }
    const forbidden = await rules([{ http: { methods: ["GET"], path: "/api/*" }, then: "deny" }])
    for (const action of [http("GET", "/api/x"), http("HEAD", "/api/x"), live]) assert.equal(decided(forbidden, "web", action), "deny 0")
    assert.equal(decided(forbidden, "web", http("POST", "/api/x")), "allow")
    const allowed = await rules([
      { http: { methods: ["GET"], path: "/api/*" }, then: "allow" },
      { http: { path: "/api/*" }, then: "deny" },
    ])
    for (const action of [http("HEAD", "/api/x"), live]) assert.equal(decided(allowed, "web", action), "deny 1")
    const sockets = await rules([{ http: { methods: ["WEBSOCKET"] }, then: "deny" }])
    assert.equal(decided(sockets, "web", http("GET", "/api/x")), "allow", "without a handshake it is no WebSocket")
  })

  test("who, which account and which target they are about", async () => {
    const all = await rules([
      { who: "oncall", then: "deny" },
      { who: "engineers", as: "root", ssh: { exec: true, shell: true }, then: "deny" },
      { targets: { env: "test" }, then: "flag" },
    ])
    assert.equal(decided(all, "host", exec("id"), "root"), "deny 1")
    assert.equal(decided(all, "host", { kind: "ssh.shell", channel: 0 }, "root"), "deny 1")
    assert.equal(decided(all, "host", exec("id"), "deploy"), "allow")
    assert.equal(decided(all, "web", http("GET", "/")), "flag 2")
  })

  test("SQL: each operation in a text is as it would be alone, and the strictest counts", async () => {
    const all = await rules([
      { postgres: { kinds: "read", tables: "public.secrets" }, then: "deny" },
      { postgres: { kinds: ["delete", "update"], without: "where" }, then: "deny" },
      { postgres: { kinds: ["ddl"] }, then: "flag" },
      { postgres: { kinds: ["unknown", "do", "call"] }, then: "flag" },
    ])
    const is = (text: string): string => decided(all, "db", sql(text))
    assert.equal(is("SELECT * FROM orders"), "allow")
    assert.equal(is("SELECT * FROM secrets"), "deny 0", "a name without a schema may be that one")
    assert.equal(is("SELECT * FROM other.secrets"), "allow")
    assert.equal(is("INSERT INTO copy SELECT * FROM secrets"), "deny 0")
    assert.equal(is("COPY secrets TO STDOUT"), "deny 0")
    assert.equal(is("DELETE FROM orders"), "deny 1")
    assert.equal(is("DELETE FROM orders WHERE id = 1"), "allow")
    assert.equal(is("TRUNCATE orders"), "deny 1")
    assert.equal(is("DROP TABLE x; DELETE FROM orders"), "deny 1")
    assert.equal(is("SELECT 1; DROP TABLE x"), "flag 2")
    assert.equal(is("DO $$ BEGIN DELETE FROM orders; END $$"), "flag 3")
  })

  test("SQL that cannot be seen into is what a rule forbids, as long as no rule says otherwise", async () => {
    const forbids = [{ postgres: { kinds: ["ddl", "grant"] }, then: "deny" }]
    const hidden = ["DO $$ BEGIN DROP TABLE t; END $$", "CALL p()", "SELECT f()", "not sql at all", "EXECUTE p"]
    const strict = await rules(forbids)
    for (const text of hidden) assert.equal(decided(strict, "db", sql(text)), "deny 0", text)
    assert.equal(decided(strict, "db", sql("SELECT now()")), "allow")
    const lenient = await rules([...forbids, { postgres: { kinds: ["do", "call", "unknown"] }, then: "allow" }])
    for (const text of hidden) assert.match(decided(lenient, "db", sql(text)), /^allow/, text)
    const reads = await rules([{ postgres: { kinds: "read", tables: "t" }, then: "flag" }])
    assert.equal(decided(reads, "db", sql("SELECT f()")), "allow", "a rule about reading alone is about no more")
  })

  test("what takes away is told from what else changes a table; what is not seen may do both", async () => {
    const taking = { postgres: { kinds: ["ddl", "grant"], drops: true }, then: "deny" }
    const strict = await rules([taking, { postgres: { kinds: ["ddl", "grant"] }, then: "hold" }])
    const is = (text: string): string => decided(strict, "db", sql(text))
    for (const text of [
      "DROP TABLE t",
      "TRUNCATE t",
      "ALTER TABLE t ADD m int, DROP n",
      "DROP ROLE bob",
      "CREATE TABLE u (); DROP TABLE t",
      "CALL p()",
    ])
      assert.equal(is(text), "deny 0", text)
    for (const text of ["ALTER TABLE t ADD m int", "CREATE TABLE u ()", "GRANT ALL ON t TO bob", "ALTER TABLE t ALTER n DROP NOT NULL"])
      assert.equal(is(text), "hold 1", text)
    assert.equal(is("DELETE FROM t"), "allow")
    const named = await rules([taking, { postgres: { kinds: ["unknown", "call", "do"] }, then: "flag" }])
    assert.equal(decided(named, "db", sql("CALL p()")), "flag 1")
    assert.equal(decided(await rules([{ postgres: { drops: true }, then: "deny" }]), "db", sql("TRUNCATE t")), "deny 0")
  })

  test("a rule that allows is for what is certain alone", async () => {
    const all = await rules([
      { postgres: { kinds: ["read"], tables: ["app.orders", "audit.*"] }, then: "allow" },
      { postgres: {}, then: "deny" },
    ])
    assert.equal(decided(all, "db", sql("INSERT INTO app.orders VALUES (1)")), "deny 1")
    assert.equal(decided(all, "db", sql("SELECT * FROM app.orders, secrets")), "deny 1")
    assert.equal(decided(all, "db", sql("TABLE orders")), "deny 1", "search_path may lead elsewhere")
  })

  test("commands: a pattern, however it is put after others or behind a program that runs it", async () => {
    const all = await rules([{ ssh: { exec: ["systemctl restart *", "reboot"] }, then: "deny" }])
    const is = (command: string): string => decided(all, "host", exec(command))
    for (const command of [
      "systemctl restart nginx",
      "/usr/bin/systemctl restart nginx",
      "sudo -n systemctl restart nginx",
      "A=1 systemctl restart nginx",
      "true; systemctl restart nginx",
      "true && systemctl  restart 'nginx'",
      "systemctl restart --now nginx",
      "systemctl restart nginx redis",
      "systemctl restart ../nginx",
      "systemctl restart",
      `systemctl restart ${"x".repeat(10_000)}`,
      "true\nreboot",
      "sh -c 'systemctl restart nginx'",
      "$(echo systemctl) restart; systemctl $X",
      "for i in 1; do reboot; done",
      "echo `reboot`",
      "sudo -u root systemctl restart nginx",
      "sudo --user root -- reboot",
      "timeout -s KILL 5 reboot",
      "env -u LANG reboot",
      "env -S 'systemctl restart nginx'",
      "exec -a x reboot",
      "re\\boot",
      "system\\ctl restart nginx",
      "$'reboot'",
      "/sbin/reboo?",
      "re\\\nboot",
      're""boot',
      "sh -c 're\"\"boot'",
      "(re\\boot)",
      "((reboot))",
      "! re\\boot",
      "{ re\\boot; }",
      ">/tmp/x re\\boot",
      "> /tmp/x $X",
      ">|/tmp/x $X",
      "2>&1 $X",
      "X=reboot; ! $X",
      "if $X; then ls; fi",
      "re{b,}oot",
      "true && re{boot,}",
      "ionice -c 3 reboot",
      "flock /tmp/lock reboot",
      "A=1 B=2 </dev/null sudo >x reboot",
    ])
      assert.equal(is(command), "deny 0", command)
    for (const command of [
      "systemctl status nginx",
      "[ -f x ]",
      "sudo -u root uptime",
      "ls *.txt",
      "$HOME/bin/tool",
      "echo rebooted",
      "ls -l; uptime",
      "sh -c 'uptime'",
      "uptime >/tmp/x 2>&1",
      "> /tmp/x uptime",
      "if true; then uptime; fi",
      "(cd /srv; ls)",
      "{ uptime; }",
      "ionice -c 3 uptime",
      "ls {a,b}",
    ])
      assert.equal(is(command), "allow", command)
  })

  test("commands: what is allowed by name is that alone, and the rest is forbidden", async () => {
    const all = await rules([
      { ssh: { exec: ["uptime", "systemctl status *"] }, then: "allow" },
      { ssh: { argv: ["journalctl", "-u"] }, then: "allow" },
      { ssh: { exec: true, shell: true, sftp: true }, then: "deny" },
    ])
    const is = (command: string): string => decided(all, "host", exec(command))
    assert.equal(is("uptime"), "allow 0")
    assert.equal(is("uptime; systemctl status nginx"), "allow 0")
    assert.equal(is("journalctl -u nginx"), "allow 1")
    for (const command of [
      "uptime; reboot",
      "uptime | sh",
      "systemctl status $(reboot)",
      "journalctl -u x > /etc/passwd",
      "journalctl",
      "",
      "uptime 'x",
      "PAGER=reboot journalctl -u nginx",
      "/tmp/journalctl -u nginx",
      "sudo journalctl -u nginx",
      "env LD_PRELOAD=/tmp/x.so journalctl -u nginx",
      ">/tmp/x journalctl -u nginx",
      "! journalctl -u nginx",
      "if journalctl -u nginx",
      "upti\\\nme",
      "uptime\u00a0",
      "uptime\u2028reboot",
      "uptime\r\nreboot",
    ])
      assert.equal(is(command), "deny 2", command)
    assert.equal(decided(all, "host", { ...exec("uptime"), inexact: true } as Action), "deny 2")
  })

  test("paths: one that is too long to be looked at may be what a rule forbids, and is not what one allows", async () => {
    const path = `/api/${"x".repeat(10_000)}`
    const forbidden = await rules([{ http: { methods: ["DELETE"], path: "/api/*" }, then: "deny" }])
    assert.equal(decided(forbidden, "web", http("DELETE", path)), "deny 0")
    const allowed = await rules([
      { http: { path: "/api/*" }, then: "allow" },
      { http: {}, then: "deny" },
    ])
    assert.equal(decided(allowed, "web", http("GET", path)), "deny 1")
  })

  test("files: by what is done and to which path; a path that only the target knows may be any", async () => {
    const all = await rules([
      { ssh: { sftp: { ops: ["read", "list"], path: "/etc/motd" } }, then: "allow" },
      { ssh: { sftp: { ops: ["write", "remove", "rename"], path: "/etc/*" } }, then: "deny" },
    ])
    const is = (operation: object): string => decided(all, "host", { kind: "ssh.file", channel: 0, ...operation } as Action)
    assert.equal(is({ op: "open", path: "/etc/motd", flags: ["read"] }), "allow 0")
    assert.equal(is({ op: "open", path: "/etc/motd", flags: ["read", "write"] }), "deny 1")
    const secret = await rules([{ ssh: { sftp: { ops: ["read"], path: "/etc/shadow" } }, then: "deny" }])
    const open = (...flags: string[]): string =>
      decided(secret, "host", { kind: "ssh.file", channel: 0, op: "open", path: "/etc/shadow", flags } as Action)
    for (const both of [["read"], ["read", "write"], ["read", "append", "create"], []])
      assert.equal(open(...both), "deny 0", "who opens it to write as well reads it too")
    assert.equal(open("write"), "allow")
    const modes = await rules([
      { ssh: { sftp: { ops: ["setattr"] } }, then: "deny" },
      { ssh: { sftp: { ops: ["write", "mkdir"] } }, then: "hold" },
    ])
    const made = (more: object): string => decided(modes, "host", { kind: "ssh.file", channel: 0, path: "/x", ...more } as Action)
    assert.equal(made({ op: "open", flags: ["write", "create"], set: { mode: 0o4755 } }), "deny 0", "it is made as setattr would leave it")
    assert.equal(made({ op: "mkdir", set: { mode: 0o2777 } }), "deny 0")
    assert.equal(made({ op: "mkdir" }), "hold 1")
    assert.equal(is({ op: "remove", path: "/etc/passwd" }), "deny 1")
    assert.equal(is({ op: "remove", path: "/tmp/x" }), "allow")
    for (const path of ["passwd", "/tmp/passwd\0", "/tmp/../etc/passwd", "/tmp//x", { base64: "/w==" }])
      assert.equal(is({ op: "remove", path }), "deny 1")
    assert.equal(is({ op: "rename", path: "/tmp/x", to: "/etc/x" }), "deny 1")
    assert.equal(is({ op: "rename", path: "/etc", to: "/tmp/x" }), "deny 1", "all that is in it goes along")
    const folder = await rules([{ ssh: { sftp: { path: "/etc/*" } }, then: "deny" }])
    const link = (to: string): Action => ({ kind: "ssh.file", channel: 0, op: "symlink", path: "/tmp/x", to })
    assert.equal(decided(folder, "host", link("/etc")), "deny 0")
    assert.equal(decided(folder, "host", link("/usr")), "allow")
    assert.equal(decided(folder, "host", { kind: "ssh.file", channel: 0, op: "list", path: "/etc" }), "allow")
    assert.equal(decided(all, "host", { kind: "ssh.sftp", channel: 0, access: "all" }), "allow")
  })

  test("forwards: by where they lead; a name may lead to an address that a rule forbids, and is none that one allows", async () => {
    const all = await rules([
      { ssh: { forward: ["10.0.0.9:6379", "*.internal:443", "/run/app.sock"] }, then: "allow" },
      { ssh: { forward: "10.0.0.0/8:*", listen: "*:8080", agent: true }, then: "deny" },
      { ssh: { listen: true }, then: "hold" },
      { ssh: { forward: "db.test:5432" }, then: "flag" },
    ])
    const to = (where: object): string => decided(all, "host", { kind: "ssh.forward", direction: "local", ...where } as Action)
    const at = (where: object): string => decided(all, "host", { kind: "ssh.forward", direction: "remote", ...where } as Action)
    assert.equal(to({ host: "10.0.0.9", port: 6_379 }), "allow 0")
    assert.equal(to({ host: "a.internal", port: 443 }), "allow 0")
    assert.equal(to({ path: "/run/app.sock" }), "allow 0")
    assert.equal(to({ host: "10.0.0.9", port: 22 }), "deny 1")
    assert.equal(to({ host: "redis.test", port: 6_379 }), "deny 1", "what it stands for is not known")
    assert.equal(to({ host: "192.0.2.1", port: 5_432 }), "flag 3", "an address may be what the name stands for")
    assert.equal(to({ host: "192.0.2.1", port: 80 }), "allow")
    assert.equal(to({ path: "/run/other.sock" }), "allow")
    assert.equal(at({ host: "127.0.0.1", port: 8_080 }), "deny 1")
    assert.equal(at({ host: "127.0.0.1", port: 0 }), "deny 1", "the target may choose that port")
    assert.equal(at({ host: "*", port: 9_000 }), "hold 2")
    assert.equal(at({ path: "/run/app.sock" }), "hold 2")
    assert.equal(decided(all, "host", { kind: "ssh.agent", channel: 0 }), "deny 1")
    const named = await rules([{ ssh: { forward: "*:443", exec: true }, then: "deny" }])
    assert.equal(decided(named, "host", { kind: "ssh.forward", direction: "local", host: "a.test", port: 443 }), "deny 0")
    assert.equal(decided(named, "host", { kind: "ssh.forward", direction: "local", host: "a.test", port: 80 }), "allow")
    assert.equal(decided(named, "host", { kind: "ssh.agent", channel: 0 }), "allow")
  })

  test("the file is told where it is wrong", async () => {
    const wrong = async (rule: object): Promise<string[]> => (await load([rule])).problems
    assert.match((await wrong({ postgres: { kinds: ["drop"] }, then: "deny" })).join(), /^true: expected read or insert or .* or unknown$/)
    assert.match((await wrong({ targets: "nowhere", then: "deny" })).join(), /true: .*nowhere.*target/)
    assert.match((await wrong({ who: "nobody", then: "deny" })).join(), /nobody/)
    assert.match((await wrong({ targets: "web", postgres: {}, then: "deny" })).join(), /about no target of that kind/)
    assert.match((await wrong({ postgres: {}, ssh: { exec: true }, then: "deny" })).join(), /rule of its own/)
    assert.match((await wrong({ ssh: {}, then: "deny" })).join(), /exec, argv, shell, sftp, forward, listen or agent/)
    assert.match((await wrong({ ssh: { forward: "10.0.0.9" }, then: "deny" })).join(), /true: expected host:port/)
    assert.match((await wrong({ ssh: { listen: ["*:8080", "/a/../b"] }, then: "hold" })).join(), /true: the path of a socket/)
    assert.match((await wrong({ postgres: { tables: "a.b.c" }, then: "deny" })).join(), /expected a table/)
    assert.match((await wrong({ postgres: { kinds: "read", without: "where" }, then: "deny" })).join(), /update or a delete/)
    assert.match((await wrong({ http: { path: "api" }, then: "deny" })).join(), /begins with \//)
    assert.match((await wrong({ http: { methods: "delete" }, then: "deny" })).join(), /capital/)
    assert.match((await wrong({ then: "flag", say: "x" })).join(), /only who is denied/)
    assert.match((await wrong({ then: "deny", say: "a\nb" })).join(), /one line/)
    assert.match((await wrong({ then: "allow", approve: { by: "oncall" } })).join(), /only what is held/)
    assert.match(
      (await wrong({ postgres: { kinds: "read", drops: true }, then: "deny" })).join(),
      /true: only ddl, grant and delete take away/,
    )
    assert.match(
      (await wrong({ targets: { env: "prd" }, then: "deny" })).join(),
      /^true: no target has these labels, so the rule is about nothing; did you mean env: prod\?$/,
    )
    assert.match(
      (await wrong({ then: "hold", approve: { by: "oncall", count: 2 } })).join(),
      /true: 2 approvals can never be had: only one/,
    )
    assert.match(
      (await wrong({ who: bob.name, then: "hold", approve: { by: bob.name } })).join(),
      /true: nobody approves their own request/,
    )
    assert.deepEqual(await wrong({ ssh: { exce: "rm *" }, then: "hold" }), [
      'true: unknown key "exce"; did you mean "exec"? allowed here: exec, argv, shell, sftp, forward, listen, agent',
    ])
    assert.match((await wrong({ then: "deny", widthin: "1h" })).join(), /did you mean "within"/)
  })
})
