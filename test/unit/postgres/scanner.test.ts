import assert from "node:assert/strict"
import { test } from "node:test"
import { byteOf, message } from "../../../protocols/postgres/codec.ts"
import { Scanner, unknown_type, unread_type, type Fate, type MessageReader, type Seen } from "../../../protocols/postgres/scanner.ts"
import { GatewayError } from "../../../src/core/errors.ts"
import { limits } from "../../../src/core/limits.ts"

/** Writes down what it reads; `fate` says what becomes of each. */
class Notes implements MessageReader {
  readonly wants = new Int32Array(256).fill(unknown_type)
  readonly seen: string[] = []
  readonly fate: (body: string) => Fate

  constructor(fate: (body: string) => Fate = () => "pass") {
    this.fate = fate
    this.wants[byteOf("Q")] = 10
    this.wants[byteOf("E")] = 10
    this.wants[byteOf("D")] = unread_type
  }

  read({ type, bytes, start, end, size }: Seen): Fate {
    const body = bytes.toString("latin1", start, end)
    this.seen.push(`${String.fromCharCode(type)}${size}:${body}`)
    return this.fate(body)
  }
}

const feed = (scanner: Scanner, chunk: Buffer): Buffer => {
  const parts = scanner.pass(chunk)
  return parts === null ? Buffer.alloc(0) : Buffer.isBuffer(parts) ? parts : Buffer.concat(parts)
}

const stream = Buffer.concat([message("Q", "one"), message("D", Buffer.alloc(300, 7)), message("E", "two"), message("Q", "")])

test("scanner: a stream cut at any byte passes unchanged and reads the same", () => {
  for (let at = 0; at <= stream.length; at++) {
    const notes = new Notes()
    const scanner = new Scanner(notes)
    const out = Buffer.concat([feed(scanner, stream.subarray(0, at)), feed(scanner, stream.subarray(at))])
    assert.deepEqual(out, stream, `cut at ${at}`)
    assert.deepEqual(notes.seen, ["Q9:one\0", "E9:two\0", "Q6:\0"])
  }
})

test("scanner: byte by byte, what was forwarded always ends at a message boundary", () => {
  const scanner = new Scanner(new Notes())
  const out: Buffer[] = []
  for (const byte of stream) {
    out.push(feed(scanner, Buffer.of(byte)))
    assert.ok(scanner.between)
  }
  assert.deepEqual(Buffer.concat(out), stream)
})

test("scanner: the received buffer itself is forwarded when it holds whole messages", () => {
  assert.equal(new Scanner(new Notes()).pass(stream), stream)
})

test("scanner: a large message streams, after the part that must be seen", () => {
  const notes = new Notes()
  const scanner = new Scanner(notes)
  const large = message("Q", "x".repeat(limits.postgres_partial_bytes_max))
  assert.equal(feed(scanner, large.subarray(0, 14)).length, 0)
  assert.deepEqual(notes.seen, [])
  assert.equal(feed(scanner, large.subarray(14, 20)).length, 20 - 0)
  assert.deepEqual(notes.seen, [`Q${large.length}:${"x".repeat(10)}`])
  assert.ok(!scanner.between)
  assert.equal(feed(scanner, large.subarray(20)).length, large.length - 20)
  assert.ok(scanner.between)
})

test("scanner: what is dropped or replaced leaves its neighbours as they were, wherever the chunks are cut", () => {
  const large = message("Q", `no ${"x".repeat(limits.postgres_partial_bytes_max)}`)
  const all = Buffer.concat([message("Q", "a"), large, message("Q", "b"), message("Q", "swap"), message("Q", "c")])
  const fate = (body: string): Fate => (body.startsWith("no ") ? Buffer.alloc(0) : body === "swap\0" ? message("S") : "pass")
  const expected = Buffer.concat([message("Q", "a"), message("Q", "b"), message("S"), message("Q", "c")])
  for (const at of [1, 6, 8, 12, 20, 30, 70_000, all.length - 20, all.length - 1]) {
    const scanner = new Scanner(new Notes(fate))
    assert.deepEqual(Buffer.concat([feed(scanner, all.subarray(0, at)), feed(scanner, all.subarray(at))]), expected, `cut at ${at}`)
  }
})

test("scanner: a message that waits, and all after it, can be given again", () => {
  const all = Buffer.concat([message("Q", "a"), message("Q", "wait"), message("Q", "b")])
  for (let at = 0; at < all.length; at++) {
    let waiting = true
    const scanner = new Scanner(new Notes((body) => (waiting && body === "wait\0" ? "wait" : "pass")))
    const out = [feed(scanner, all.subarray(0, at))]
    let rest = [scanner.takeUnread(), all.subarray(at)].filter((part) => part !== undefined)
    if (rest.length === 1) {
      out.push(feed(scanner, all.subarray(at)))
      rest = [scanner.takeUnread()].filter((part) => part !== undefined)
    }
    assert.deepEqual(Buffer.concat(out), message("Q", "a"))
    waiting = false
    for (const part of rest) out.push(feed(scanner, part))
    assert.deepEqual(Buffer.concat(out), all)
  }
})

test("scanner: a length below 4, a negative one and an unknown type break the protocol", () => {
  const lies = [Buffer.from([81, 0, 0, 0, 3]), Buffer.from([81, 255, 255, 255, 255]), Buffer.from([81, 0, 0, 0, 0]), message("?")]
  for (const lie of lies) {
    for (const at of [1, 5]) {
      const scanner = new Scanner(new Notes())
      assert.throws(
        () => [scanner.pass(lie.subarray(0, at)), scanner.pass(lie.subarray(at))],
        (failure) => failure instanceof GatewayError && failure.code === "protocol_broken",
      )
    }
  }
})
