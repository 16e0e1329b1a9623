import assert from "node:assert/strict"
import { spawnSync } from "node:child_process"
import { describe, test } from "node:test"
import type { Action, FileName, FileOperation, OpenFlag } from "../../../src/core/action.ts"
import { canonicalText, digestOf, narrowScope, parseScope, scopeMatcher } from "../../../src/core/action_scope.ts"
import { readDestination } from "../../../src/core/destination.ts"
import { GatewayError } from "../../../src/core/errors.ts"
import { limits } from "../../../src/core/limits.ts"
import type { ProtocolName } from "../../../src/core/target.ts"

const sql = (text: string, more: object = {}): Action => ({ kind: "postgres.statement", how: "simple", sql: text, ...more })
const exec = (command: string, more: object = {}): Action => ({ kind: "ssh.exec", channel: 0, command, ...more })
const http = (line: string, upgrade?: "websocket"): Action => {
  const [method = "", path = ""] = line.split(" ")
  return { kind: "http.request", method, path, query: [], ...(upgrade ? { upgrade } : {}) }
}
const covers = (protocol: ProtocolName, written: string | readonly string[], action: Action): boolean =>
  scopeMatcher(protocol, parseScope(protocol, [written].flat()))(action)

/** Each text that a written action covers, and each that it does not. */
function cases(protocol: ProtocolName, act: (text: string) => Action, rows: Record<string, { yes: string[]; no: string[] }>): void {
  for (const [written, { yes, no }] of Object.entries(rows)) {
    for (const text of yes) assert(covers(protocol, written, act(text)), `${written} must cover ${text}`)
    for (const text of no) assert(!covers(protocol, written, act(text)), `${written} must not cover ${text}`)
  }
}

const forward = (text: string, direction: "local" | "remote" = "local"): Action => ({
  kind: "ssh.forward",
  direction,
  ...(readDestination(text) ?? assert.fail(text)),
})

const file = (operation: FileOperation): Action => ({ kind: "ssh.file", channel: 0, ...operation })
const opened = (path: FileName, ...flags: OpenFlag[]): Action => file({ op: "open", path, flags })

describe("an action scope", () => {
  test("a file is covered by an operation and its path, a * within one name, at the end the rest", () => {
    cases("ssh", (path) => opened(path, "read"), {
      "sftp read /var/log/syslog": {
        yes: ["/var/log/syslog", "//var/./log//syslog"],
        no: ["/var/log/syslog.1", "/var/log", "var/log/syslog", "/var/log/../log/syslog", "/var/log/syslog\0", "/var/log/sys\0log", ""],
      },
      "sftp  read,list  /var/log/*": {
        yes: ["/var/log/a", "/var/log/a/b", "/var/log/.hidden", "/var/log/a b\nc"],
        no: ["/var/log", "/var/logs/a", "/var/log/a/../../../etc/shadow", "/etc/shadow", "/var/log/\0"],
      },
      "sftp read /srv/*/public": { yes: ["/srv/a/public"], no: ["/srv/a/b/public", "/srv//public", "/srv/../public", "/srv/x\0/public"] },
      "sftp write /var/log/*": { yes: [], no: ["/var/log/a"] },
      "sftp * /": { yes: ["/"], no: ["/a"] },
      uptime: { yes: [], no: ["/uptime"] },
    })
  })

  test("all that an operation on files does must be covered, by one text or several", () => {
    const rw = opened("/d/a", "read", "write", "create")
    assert(!covers("ssh", "sftp write /d/*", rw), "it could read what is there")
    assert(covers("ssh", "sftp read,write /d/*", rw))
    assert(covers("ssh", ["sftp read /d/a", "sftp write /d/*"], rw))
    for (const op of ["rename", "hardlink", "symlink", "copy"] as const) {
      assert(covers("ssh", `sftp ${op} /d/*`, file({ op, path: "/d/a", to: "/d/b" })))
      for (const to of ["/etc/shadow", "../etc/shadow", "b"])
        assert(!covers("ssh", "sftp * /d/*", file({ op, path: "/d/a", to })), `${op} ${to}`)
      assert(!covers("ssh", "sftp * /d/*", file({ op, path: "/etc/shadow", to: "/d/a" })))
    }
    assert(!covers("ssh", "sftp * /*", file({ op: "other", name: "x@y", path: "/d/a" })), "what we do not know")
    assert(!covers("ssh", "sftp * /*", opened({ base64: "L/8=" }, "read")), "what is no text")
  })

  test("sftp begins where any file is named; a command is no file, and a file no command", () => {
    const begin: Action = { kind: "ssh.sftp", channel: 0, access: "all" }
    assert(covers("ssh", ["uptime", "sftp read /etc/motd"], begin))
    assert(!covers("ssh", ["uptime", "exact:sftp read /etc/motd", digestOf("sftp read /etc/motd")], begin))
    assert(!covers("ssh", "sftp read /etc/motd", exec("sftp read /etc/motd")))
    assert(!covers("ssh", ["exact:sftp read /etc/motd", digestOf("sftp read /etc/motd")], opened("/etc/motd", "read")))
    assert(covers("ssh", "exact:sftp read /etc/motd", exec("sftp read /etc/motd")))
    assert(!covers("ssh", "sftp * /*", { kind: "ssh.shell", channel: 0 }))
    for (const written of ["sftp write,read,read //a/./b/", "exact:sftp read /a", "pattern:sftp *"]) {
      assert.deepEqual(parseScope("ssh", parseScope("ssh", [written])), parseScope("ssh", [written]), "its canonical form means the same")
    }
    assert.deepEqual(parseScope("ssh", ["sftp write,read,read //a/./b/"]), ["sftp read,write /a/b"])
    for (const wrong of [
      "sftp ",
      "sftp host",
      "sftp read",
      "sftp reed /a",
      "sftp read a",
      "sftp read /a/../b",
      "sftp other /a",
      "sftp read,* /a",
    ]) {
      assert.throws(() => parseScope("ssh", [wrong]), /a command of that name is written exact:sftp/, wrong)
    }
  })

  test("what a rule gives of files may be asked for in parts", () => {
    const ruled = parseScope("ssh", ["sftp read,list /var/log/*"])
    const asked = (text: string) => narrowScope("ssh", ruled, parseScope("ssh", [text]))
    assert.deepEqual(asked("sftp read /var/log/syslog"), ["sftp read /var/log/syslog"])
    for (const text of ["sftp write /var/log/syslog", "sftp read /etc/motd", "sftp read /var/*", "exact:sftp read /var/log/syslog"])
      assert.equal(asked(text), undefined, text)
  })

  test("a forward is covered by its place or a pattern of places, each direction for itself", () => {
    cases("ssh", forward, {
      "forward 10.0.0.9:6379": { yes: ["10.0.0.9:6379"], no: ["10.0.0.9:6380", "10.0.0.8:6379"] },
      "forward  *.internal:443": { yes: ["db.internal:443"], no: ["internal:443", "db.internal:444"] },
      "forward /run/app.sock": { yes: ["/run/app.sock"], no: ["/run/app.sock2"] },
      "forward remote localhost:8080": { yes: [], no: ["localhost:8080"] },
      "forward agent": { yes: [], no: ["agent:22"] },
    })
    assert(covers("ssh", "forward remote localhost:8000-8999", forward("localhost:8080", "remote")))
    assert(!covers("ssh", "forward localhost:8080", forward("localhost:8080", "remote")))
    assert(covers("ssh", "forward agent", { kind: "ssh.agent", channel: 0 }))
    assert(!covers("ssh", ["forward *:*", "forward remote *:*"], { kind: "ssh.agent", channel: 0 }))
  })

  test("a command is no forward, and a forward no command, though their texts be the same", () => {
    const text = "forward 10.0.0.9:6379"
    assert(!covers("ssh", text, exec(text)))
    assert(covers("ssh", `exact:${text}`, exec(text)))
    assert(covers("ssh", "pattern:forward *", exec("forward home")))
    assert(!covers("ssh", [`exact:${text}`, "pattern:forward *", digestOf(text)], forward("10.0.0.9:6379")))
    for (const written of [`exact:${text}`, "pattern:forward *", text, "forward agent"]) {
      assert.deepEqual(parseScope("ssh", parseScope("ssh", [written])), parseScope("ssh", [written]), "its canonical form means the same")
    }
    for (const wrong of ["forward home", "forward 127.1:22", "forward remote", "forward "]) {
      assert.throws(() => parseScope("ssh", [wrong]), /a command of that name is written exact:forward/)
    }
  })

  test("what a rule gives of forwards may be asked for in parts", () => {
    const ruled = parseScope("ssh", ["forward 10.0.0.0/8:*", "uptime"])
    const asked = (text: string) => narrowScope("ssh", ruled, parseScope("ssh", [text]))
    assert.deepEqual(asked("forward 10.0.0.9:6379"), ["forward 10.0.0.9:6379"])
    assert.equal(asked("forward 11.0.0.9:6379"), undefined)
    assert.equal(asked("exact:forward 10.0.0.9:6379"), undefined)
  })

  test("SQL is covered as its exact text, whatever white space and semicolons stand around it", () => {
    cases("postgres", sql, {
      "SELECT * FROM orders": {
        yes: ["SELECT * FROM orders", "  SELECT * FROM orders ;\n"],
        no: ["select * from orders", "SELECT *  FROM orders", "SELECT * FROM orders; DROP TABLE orders", "SELECT 1 FROM orders", ""],
      },
    })
  })

  test("a * in an SQL pattern is one value and never code", () => {
    cases("postgres", sql, {
      "pattern:DELETE FROM orders WHERE id = * AND note = *": {
        yes: [
          "DELETE FROM orders WHERE id = 7 AND note = 'gone'",
          "DELETE FROM orders WHERE id = -7.5 AND note = $2;",
          "DELETE FROM orders WHERE id = $1 AND note = ''",
        ],
        no: [
          "DELETE FROM orders WHERE id = id AND note = 'x'",
          "DELETE FROM orders WHERE id = 1 OR true AND note = 'x'",
          "DELETE FROM orders WHERE id = 1-- AND note = 'x'",
          "DELETE FROM orders WHERE id = 1/**/ AND note = 'x'",
          "DELETE FROM orders WHERE id = (SELECT 1) AND note = 'x'",
          "DELETE FROM orders WHERE id = 'a' OR 'b' AND note = 'x'",
          String.raw`DELETE FROM orders WHERE id = 'a\' AND note = ' OR true; --'`,
          "DELETE FROM orders WHERE id = 'a'' OR true' AND note = 'x'",
          "DELETE FROM orders WHERE id = 1 AND note = 'x'; DROP TABLE orders",
          "DELETE FROM orders WHERE id =  AND note = 'x'",
        ],
      },
      "pattern:SELECT * FROM t WHERE a LIKE '* %'": {
        yes: ["SELECT * FROM t WHERE a LIKE '* %'", "SELECT 1 FROM t WHERE a LIKE '* %'"],
        no: ["SELECT * FROM t WHERE a LIKE ' ' OR true OR ' %'", "SELECT * FROM t WHERE a LIKE '5 %'"],
      },
      "pattern:SELECT 1 -- ' *": { yes: ["SELECT 1 -- ' *"], no: ["SELECT 1 -- ' 5"] },
      "pattern:SELECT t.*, t* FROM t": { yes: ["SELECT t.*, t* FROM t"], no: ["SELECT t.5, t* FROM t"] },
    })
  })

  test("a command is covered as it stands, and a * within one word without meaning to a shell", () => {
    cases("ssh", exec, {
      "systemctl restart nginx": { yes: ["systemctl restart nginx"], no: ["systemctl restart nginx ", "systemctl restart nginx2"] },
      "systemctl restart *": {
        yes: ["systemctl restart nginx", "systemctl restart app@1.service", "systemctl restart *"],
        no: [
          "systemctl restart nginx; reboot",
          "systemctl restart nginx mysql",
          "systemctl restart $(reboot)",
          "systemctl restart `reboot`",
          "systemctl restart a\nreboot",
          "systemctl restart a&reboot",
          "systemctl restart a|sh",
          "systemctl restart a>b",
          "systemctl restart --all",
          "systemctl restart ",
          "systemctl restart nginx\0",
        ],
      },
      "cat /var/log/*": { yes: ["cat /var/log/syslog"], no: ["cat /var/log/../shadow", "cat /var/log/..", "cat /var/log/a/b"] },
      "ls app*.log": { yes: ["ls app.log", "ls app-1.log", "ls app*.log"], no: ["ls app/x.log", "ls app .log"] },
      "exact:ls *": { yes: ["ls *"], no: ["ls a"] },
    })
  })

  test("an HTTP action is a method and a path; a WebSocket is named as one", () => {
    cases("http", http, {
      "GET /api/orders": { yes: ["GET /api/orders"], no: ["POST /api/orders", "GET /api/orders/1", "HEAD /api/orders"] },
      "HEAD,GET /api/*": { yes: ["GET /api/", "HEAD /api/a/b"], no: ["GET /api", "GET /apis", "DELETE /api/a"] },
      "DELETE /api/*/tags": { yes: ["DELETE /api/7/tags"], no: ["DELETE /api/7/8/tags", "DELETE /api/7/tags/"] },
      "* /api/*": { yes: ["PATCH /api/x"], no: ["GET /"] },
    })
    assert(!covers("http", "* /live", http("GET /live", "websocket")))
    assert(!covers("http", "GET /live", http("GET /live", "websocket")))
    assert(covers("http", "WEBSOCKET /live", http("GET /live", "websocket")))
    assert(!covers("http", "WEBSOCKET /live", http("GET /live")))
  })

  test("a digest covers the one action with that canonical text", () => {
    const statement = `SELECT '${"x".repeat(limits.scope_action_chars_max)}'`
    const digest = digestOf(canonicalText(sql(`${statement};`))!)
    assert(covers("postgres", digest.toUpperCase().replace("SHA", "sha"), sql(statement)))
    assert(!covers("postgres", digest, sql(`${statement} `.replace("x", "y"))))
    assert(!covers("postgres", digest, sql(digest)))
  })

  test("what cannot be named, or is not known to the byte, is not covered", () => {
    assert(!covers("ssh", "*", { kind: "ssh.shell", channel: 0 }))
    assert(!covers("ssh", "ls \ufffd", exec("ls \ufffd", { inexact: true })))
    for (const more of [{ inexact: true }, { ambiguous: true }, { unresolved: true }, { sql_bytes: 9_000_000 }, { how: "function_call" }])
      assert(!covers("postgres", "SELECT 1", sql("SELECT 1", more)), JSON.stringify(more))
  })

  test("is canonical: the same actions in another order or another dress are the same scope", () => {
    assert.deepEqual(parseScope("http", ["POST /b", "HEAD,GET,GET  /a", "POST /b"]), ["GET,HEAD /a", "POST /b"])
    assert.deepEqual(parseScope("postgres", ["exact: SELECT 1;", "SELECT 1"]), ["SELECT 1"])
    assert.deepEqual(parseScope("ssh", ["pattern:ls", "exact:ls *", "ls *"]), ["exact:ls *", "ls", "ls *"])
    for (const [protocol, written] of [
      ["postgres", "exact:pattern:x"],
      ["ssh", "pattern:exact:*"],
      ["http", "exact:GET /a*"],
    ] as const) {
      const scope = parseScope(protocol, [written])
      assert.deepEqual(parseScope(protocol, scope), scope)
    }
  })

  test("what is no action says why", () => {
    const wrong: [ProtocolName, string[], RegExp][] = [
      ["ssh", [], /at least one/],
      ["ssh", ["  "], /not empty/],
      ["postgres", [" ; "], /not empty/],
      ["http", ["/api"], /a method and a path/],
      ["http", ["get /api"], /a method and a path/],
      ["http", ["GET /api?x=1"], /query/],
      ["http", ["exact:GET,POST /a"], /one method/],
      ["postgres", ["sha256:abc"], /64 hexadecimal/],
      ["ssh", ["x".repeat(limits.scope_action_chars_max + 1)], /sha256/],
      ["ssh", ["a\0b"], /text/],
      ["ssh", ["\ud800"], /text/],
      ["ssh", Array.from({ length: limits.scope_actions_max + 1 }, (_, at) => `c${at}`), /at most/],
    ]
    for (const [protocol, written, words] of wrong)
      assert.throws(
        () => parseScope(protocol, written),
        (failure) => failure instanceof GatewayError && failure.code === "invalid" && words.test(failure.message),
        written.join(),
      )
  })

  test("a text that this version cannot read covers nothing, and the others still cover theirs", () => {
    const matches = scopeMatcher("http", ["sha1024:x", "GET /a"])
    assert(matches(http("GET /a")))
    assert(!matches(http("GET /b")))
  })

  test("within a rule's actions only those may be asked for", () => {
    const ruled = parseScope("ssh", ["systemctl restart *", "uptime"])
    const narrow = (...asked: string[]) => narrowScope("ssh", ruled, parseScope("ssh", asked))
    assert.deepEqual(narrow("systemctl restart nginx", "uptime"), ["systemctl restart nginx", "uptime"])
    assert.deepEqual(narrow("systemctl restart *"), ["systemctl restart *"])
    assert.equal(narrow("systemctl restart a*"), undefined)
    assert.equal(narrow("reboot", "uptime"), undefined)
    assert.equal(narrow(digestOf("uptime")), undefined)
    assert.deepEqual(narrowScope("ssh", ruled, null), ruled)
    assert.equal(narrowScope("ssh", null, null), null)
  })

  test("a pattern takes no longer for what looks almost right", () => {
    const steps = limits.scope_pattern_text_chars_max / 2
    const almost = `${"a".repeat(steps)}!`
    assert(!covers("ssh", `${"*a".repeat(40)}*b`, exec(almost)), "would take for ever if it went back")
    assert(!covers("ssh", "a*", exec("a".repeat(limits.scope_pattern_text_chars_max + 1))))
  })

  test("whatever stands in the place of a command's *, a real shell takes it for one word and changes nothing in it", () => {
    const bytes = Array.from({ length: 127 }, (_, code) => String.fromCharCode(code + 1))
    const pieces = ["", "x", "..", "--", "~", "$HOME", "*", "a/b", "é"]
    const values = bytes.flatMap((byte) => pieces.flatMap((piece) => [byte + piece, piece + byte, `x${byte}${piece}`]))
    const covered = values.filter((value) => value !== "*" && covers("ssh", "count *", exec(`count ${value}`)))
    assert(covered.length > 500, "letters, digits and harmless signs are covered")
    const script = covered.map((value) => `count ${value}`).join("\n")
    // Each line says how many words it had, and the first of them.
    const { stdout, stderr } = spawnSync("sh", ["-c", `count() { printf '%s %s\\n' "$#" "$1"; }\n${script}`], {
      cwd: "/",
      encoding: "utf8",
    })
    assert.equal(stderr, "")
    assert.deepEqual(
      stdout.trimEnd().split("\n"),
      covered.map((value) => `1 ${value}`),
    )
  })
})
