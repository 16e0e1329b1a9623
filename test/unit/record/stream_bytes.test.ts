import assert from "node:assert/strict"
import { createHash } from "node:crypto"
import { test } from "node:test"
import type { Event } from "../../../src/record/events.ts"
import { bytesOf, StreamBytes } from "../../../src/record/stream_bytes.ts"

function setting(bytes_max: number, takes = Infinity) {
  const events: Event[] = []
  const recorder = {
    next: 0,
    write: (event: Event) => events.push(event) <= takes,
    note: () => {},
  }
  return { events, stream: new StreamBytes({ recorder, channel: 3, stream: "stdout", bytes_max }) }
}

const joined = (events: readonly Event[]): Buffer =>
  Buffer.concat(events.map((event) => (event.kind === "data" ? bytesOf(event) : Buffer.alloc(0))))

test("stream bytes: text is kept as text", () => {
  const { events, stream } = setting(1000)
  assert.ok(stream.write(Buffer.from("héllo 😀\r\n")))
  stream.end()
  assert.deepEqual(events, [{ kind: "data", channel: 3, stream: "stdout", text: "héllo 😀\r\n" }])
})

test("stream bytes: whatever chunks the bytes come in, those on record are those that passed, at once", () => {
  const all = Buffer.concat([Buffer.from("aé漢😀z".repeat(20)), Buffer.from([0xff, 0xfe, 0x80, 0xc3]), Buffer.from("end😀")])
  for (let size = 1; size <= all.length; size++) {
    const { events, stream } = setting(Infinity)
    for (let start = 0; start < all.length; start += size) {
      stream.write(all.subarray(start, start + size))
      assert.ok(joined(events).equals(all.subarray(0, start + size)))
    }
    stream.end()
    assert.ok(events.every((event) => event.kind === "data"))
  }
})

test("stream bytes: a character cut by a chunk costs the rest of the chunk nothing", () => {
  const { events, stream } = setting(1000)
  const bytes = Buffer.from("before 😀 after")
  stream.write(bytes.subarray(0, 9))
  stream.write(bytes.subarray(9))
  assert.deepEqual(
    events.map((event) => (event.kind === "data" && "text" in event ? event.text : "base64")),
    ["before ", "base64", "base64", " after"],
  )
})

test("stream bytes: past the bound the whole stream's size and SHA-256 are kept, once", () => {
  const { events, stream } = setting(10)
  const bytes = Buffer.from("0123456789abcdef")
  stream.write(bytes.subarray(0, 4))
  stream.write(bytes.subarray(4))
  stream.write(bytes)
  stream.end()
  stream.end()
  assert.equal(joined(events).toString(), "0123456789")
  const sha256 = createHash("sha256").update(bytes).update(bytes).digest("hex")
  assert.deepEqual(events.at(-1), { kind: "digest", channel: 3, stream: "stdout", bytes: 32, sha256 })
  assert.equal(events.filter((event) => event.kind === "digest").length, 1)
})

test("stream bytes: exactly the bound is kept whole, and nothing at all is no event", () => {
  const { events, stream } = setting(4)
  stream.write(Buffer.alloc(0))
  stream.write(Buffer.from("four"))
  stream.end()
  assert.equal(events.length, 1)
})

test("stream bytes: what the recorder does not take is not to be forwarded", () => {
  const { stream } = setting(1000, 0)
  assert.equal(stream.write(Buffer.from("x")), false)
})
