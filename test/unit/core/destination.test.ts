import assert from "node:assert/strict"
import { suite, test } from "node:test"
import {
  type Destination,
  destinationPattern,
  destinationText,
  originOf,
  parseDestination,
  parseListening,
  parseSocketPath,
  readDestination,
} from "../../../src/core/destination.ts"

const at = (text: string): Destination => {
  const read = readDestination(text)
  assert(read, `${text} must be a place`)
  return read
}

suite("destinations", () => {
  test("a host is itself in lower case, an address in its shortest form", () => {
    for (const [written, host] of [
      ["10.0.0.9", "10.0.0.9"],
      ["DB.Internal", "db.internal"],
      ["my_service-1", "my_service-1"],
      ["FD00:0:0::1", "fd00::1"],
      ["::1", "::1"],
      ["1.example.com", "1.example.com"],
      ["deadbeef", "deadbeef"],
    ] as const) {
      assert.deepEqual(parseDestination(written, 80), { host, port: 80 })
    }
  })

  test("what resolvers read in ways of their own is no place", () => {
    for (const host of [
      "",
      "*",
      "127.1",
      "2130706433",
      "0x7f000001",
      "0x7f.0.0.1",
      "010.0.0.1",
      "10.0.0.256",
      "1.2.3.4.5",
      "10.0.0.1.",
      "0X7F.1",
      "localhost.",
      ".localhost",
      "a..b",
      "-a",
      "a-",
      "a b",
      "a\0b",
      "a\nb",
      "a%lo",
      "ä.example",
      "a/b",
      "[::1]",
      "x".repeat(64),
      "fe80::1%eth0",
      "::ffff:10.0.0.1",
      "::ffff:a00:1",
      "::10.0.0.1",
      "64:ff9b::a00:1",
      "::g",
      "1::2::3",
      `${"a.".repeat(127)}ab`,
    ]) {
      assert.equal(parseDestination(host, 80), undefined, JSON.stringify(host))
    }
    for (const port of [0, 65_536, 2 ** 32 - 1]) assert.equal(parseDestination("a", port), undefined)
  })

  test("a target listens on an address, on all of them, or on a port of its choosing", () => {
    assert.deepEqual(parseListening("", 0), { host: "*", port: 0 })
    assert.deepEqual(parseListening("*", 8080), { host: "*", port: 8080 })
    assert.deepEqual(parseListening("localhost", 8080), { host: "localhost", port: 8080 })
    assert.equal(parseListening("127.1", 8080), undefined)
    assert.equal(parseListening("localhost", 65_536), undefined)
  })

  test("a socket's path leads where it says", () => {
    assert.deepEqual(parseSocketPath("/run/app.sock"), { path: "/run/app.sock" })
    for (const path of [
      "",
      "/",
      "run/app",
      "/run/../etc/x",
      "/run/./x",
      "/run//x",
      "/run/x/",
      "/a\0b",
      "/a\nb",
      "/a\u202eb",
      "/\ufffd",
      `/${"x".repeat(107)}`,
    ]) {
      assert.equal(parseSocketPath(path), undefined, JSON.stringify(path))
    }
  })

  test("a pattern covers what it says and nothing beside it", () => {
    for (const [written, yes, no] of [
      ["10.0.0.9:6379", ["10.0.0.9:6379"], ["10.0.0.9:6380", "10.0.0.90:6379", "db:6379"]],
      ["DB.internal:443", ["db.internal:443"], ["x.db.internal:443", "db.internal.evil:443", "internal:443"]],
      [
        "*.internal:443",
        ["db.internal:443", "a.b.internal:443"],
        ["internal:443", "dbinternal:443", "db.internal.evil:443", "10.0.0.1:443"],
      ],
      ["10.0.0.0/8:*", ["10.0.0.1:1", "10.255.255.255:65535"], ["11.0.0.1:1", "localhost:1", "[fd00::1]:1"]],
      ["[fd00::/8]:443", ["[fd00::1]:443", "[fdff::1]:443"], ["[fe00::1]:443", "10.0.0.1:443"]],
      ["[FD00:0::1]:443", ["[fd00::1]:443"], ["[fd00::2]:443"]],
      ["host:8000-8002", ["host:8000", "host:8002"], ["host:7999", "host:8003"]],
      ["*:22", ["anything:22", "10.0.0.1:22", "[::1]:22", "*:22"], ["anything:23", "/run/x"]],
      ["localhost:*", ["localhost:0", "localhost:1"], ["127.0.0.1:1", "*:1"]],
      ["/run/app/*.sock", ["/run/app/a.sock", "/run/app/.sock"], ["/run/app/a/b.sock", "/run/app/a.sock2", "/run/b.sock", "host:22"]],
      ["/run/*a*b*", ["/run/ab", "/run/xaybz", "/run/abab"], ["/run/ba", "/run/a", "/run/x/ab"]],
    ] as const) {
      const pattern = destinationPattern(written)
      for (const text of yes) assert(pattern.covers(at(text)), `${written} must cover ${text}`)
      for (const text of no) assert(!pattern.covers(at(text)), `${written} must not cover ${text}`)
      assert.equal(destinationPattern(pattern.text).text, pattern.text, "its canonical text means the same")
    }
  })

  test("one without stars, ranges and networks is one place", () => {
    assert.equal(destinationPattern("DB:22").exact, "db:22")
    assert.equal(destinationPattern("/run/a").exact, "/run/a")
    for (const several of ["*:22", "a:*", "a:1-2", "*.a:1", "10.0.0.0/8:1", "[fd00::/8]:1", "/run/*"]) {
      assert.equal(destinationPattern(several).exact, undefined)
    }
  })

  test("what is no pattern is refused with words", () => {
    for (const written of [
      "",
      "host",
      "host:",
      ":22",
      "host:65536",
      "host:2-1",
      "host:a",
      "127.1:22",
      "10.0.0.0/33:22",
      "10.0/8:22",
      "name/8:22",
      "a*b:22",
      "*.:22",
      "*.1:22",
      "[::1:22",
      "::1:22",
      "[fd00::/129]:1",
      "[host]:22",
      "host :22",
      "http://host:22",
    ]) {
      assert.throws(() => destinationPattern(written), /expected host:port/, written)
    }
    for (const written of ["/", "/a/../b", "/a/"]) assert.throws(() => destinationPattern(written), /the path of a socket/)
  })

  test("where it came from is an address and a port, whatever a peer wrote", () => {
    assert.deepEqual(originOf("10.0.0.1", 5), { host: "10.0.0.1", port: 5 })
    assert.deepEqual(originOf("\u001b[2J", 2 ** 32 - 1), { host: "0.0.0.0", port: 0 })
  })

  test("whatever is read is written so that it is read the same, and its own text as a pattern covers it and no neighbour", () => {
    let state = 20_261_124 // a seed: the same cases each time
    const random = (below: number): number => {
      state = (Math.imul(state, 1_103_515_245) + 12_345) >>> 0
      return (state >>> 8) % below
    }
    const pieces = [
      "a",
      "B",
      "0",
      "10",
      "255",
      ".",
      ".",
      ":",
      "::",
      "-",
      "_",
      "fd00",
      "1",
      "*",
      "/",
      "%",
      "x",
      "0x",
      " ",
      "\0",
      "é",
      "[",
      "]",
    ]
    let read = 0
    for (let run = 0; run < 20_000; run++) {
      const text = Array.from({ length: 1 + random(7) }, () => pieces[random(pieces.length)]).join("")
      const port = random(70_000)
      const found = text.startsWith("/") ? parseSocketPath(text) : parseDestination(text, port)
      if (!found) continue
      read++
      const written = destinationText(found)
      assert.deepEqual(readDestination(written), found, written)
      if ("path" in found ? found.path.includes("*") : false) continue
      const pattern = destinationPattern(written)
      assert.equal(pattern.exact, written)
      assert(pattern.covers(found))
      if ("port" in found && found.port < 65_535) assert(!pattern.covers({ host: found.host, port: found.port + 1 }))
      if ("host" in found) assert(!pattern.covers({ host: `x${found.host}`, port: found.port }))
    }
    assert(read > 1_000, `only ${read} of them were places`)
  })
})
