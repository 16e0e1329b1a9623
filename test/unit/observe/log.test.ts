import assert from "node:assert/strict"
import { Writable } from "node:stream"
import { test } from "node:test"
import { SignJWT } from "jose"
import { generateOpensshKey } from "../../../src/config/openssh_key.ts"
import { limits } from "../../../src/core/limits.ts"
import { Secret } from "../../../src/core/secret.ts"
import { createLog } from "../../../src/observe/log.ts"
import type { Log } from "../../../src/observe/log.ts"

function capture(): { log: Log; text(): string; last(): Record<string, unknown> } {
  const lines: string[] = []
  const sink = new Writable({
    write(chunk, _encoding, done) {
      lines.push(String(chunk))
      done()
    },
  })
  return { log: createLog("debug", sink), text: () => lines.join(""), last: () => JSON.parse(lines.at(-1)!) as Record<string, unknown> }
}

test("log: one JSON object a line, with the child's fields and the words", () => {
  const { log, last } = capture()
  log.child({ session: "s_1" }).info({ target: "orders", bytes: 3 }, "opened")
  const { time, ...line } = last()
  assert.match(String(time), /^\d{4}-\d\d-\d\dT/)
  assert.deepEqual(line, { level: "info", session: "s_1", target: "orders", bytes: 3, msg: "opened" })
})

test("log: no secret passes, wherever it stands", async () => {
  const jwt = await new SignJWT({ sub: "alice" }).setProtectedHeader({ alg: "HS256" }).sign(Buffer.alloc(32, 7))
  const key = generateOpensshKey("k").private
  const word = "correct-horse-battery"
  const { log, text } = capture()
  log.info({ value: new Secret(word), deep: { list: [{ key }] }, map: new Map([["a", new Secret(word)]]) }, "a Secret")
  log.info(
    { password: word, headers: { Authorization: `Bearer ${word}`, cookie: `a=${word}` }, access_token: word, gatewayKey: word },
    "by name",
  )
  log.child({ api_key: word }).warn({ err: new Error(`login failed for token=${word}`) }, `password: "${word}"`)
  log.error({ err: new Error(`GET / with Bearer ${word}`, { cause: new Error(`postgres://app:${word}@db/orders`) }) }, "in errors")
  log.error({ err: new Error(`bad key ${key.reveal()}`), note: `token ${jwt}` }, `got ${jwt}`)
  log.info({ err: Object.assign(new Error("failed"), { response: word, stack: word }) }, "in an error's other properties")
  log.info({ body: Buffer.from(word) }, "in bytes")
  assert(!text().includes(word), text())
  assert(!text().includes(jwt.slice(0, 40)), text())
  assert(!text().includes(key.reveal().split("\n")[2]!), text())
})

test("log: an error is its name, code, message and causes", () => {
  const { log, last } = capture()
  log.warn({ err: Object.assign(new Error("no answer", { cause: new TypeError("inner") }), { code: "ECONNREFUSED" }) }, "failed")
  assert.deepEqual(last()["err"], {
    name: "Error",
    message: "no answer",
    code: "ECONNREFUSED",
    cause: { name: "TypeError", message: "inner" },
  })
})

test("log: what a peer sent neither steers a terminal nor fills the disk", () => {
  const { log, text, last } = capture()
  log.info({ login: "\u001b[2J\u009b31mroot\u202e", list: Array.from({ length: 1_000 }, () => "x") }, "hello\nforged")
  for (const character of ["\u001b", "\u009b", "\u202e"]) assert(!text().includes(character))
  assert.equal(text().trimEnd().split("\n").length, 1)
  assert.equal((last()["list"] as unknown[]).length, limits.log_items_max)
  const loop: Record<string, unknown> = {}
  loop["self"] = loop
  log.info({ login: "x".repeat(1_000_000), loop }, "long")
  assert(JSON.stringify(last()).length < 2 * limits.log_text_chars_max)
})
