// A gateway says that it is there, and goes on saying so whatever the service does.
import assert from "node:assert/strict"
import { test } from "node:test"
import type { ApiClient } from "../../../src/api/client.ts"
import type { Presence as Word, PresenceAnswer } from "../../../src/api/schema.ts"
import { GatewayError } from "../../../src/core/errors.ts"
import { limits } from "../../../src/core/limits.ts"
import { Presence } from "../../../src/gateway/control_plane/presence.ts"
import { alone, type Siblings } from "../../../src/gateway/siblings.ts"
import { createLog } from "../../../src/observe/log.ts"
import { version } from "../../../src/observe/version.ts"
import { FakeClock } from "../../support/fake_clock.ts"
import { eventually } from "../../support/wait.ts"

const listening = { ssh: "0.0.0.0:2222" }

function setUp(siblings: Siblings = alone) {
  const words: Word[] = []
  const answers: object[] = []
  const lines: string[] = []
  let answer: Partial<PresenceAnswer> | undefined = {}
  let forgotten = 0
  const clock = new FakeClock()
  const api = {
    async call(_route: "presence", { body }: { body: Word }) {
      words.push(body)
      await Promise.resolve()
      clock.advance(7) // the way there
      if (!answer) throw new GatewayError("stale")
      return { service: "a", at: 1, announce: false, superseded: false, ...answer }
    },
  } as unknown as ApiClient
  const log = createLog("debug", { write: (line: string) => void lines.push(line) } as unknown as NodeJS.WritableStream)
  const presence = new Presence({
    gateway: "gw/1",
    siblings,
    api,
    clock,
    log,
    onAnswer: (told) => answers.push(told),
    onForgotten: () => forgotten++,
  })
  return {
    presence,
    words,
    answers,
    clock,
    lines,
    answer: (next: Partial<PresenceAnswer> | undefined) => (answer = next),
    forgotten: () => forgotten,
    /** Settles when it has been heard so often. */
    heard: (count: number) =>
      eventually(`word ${count}`, () => {
        if (words.length < count) clock.advance(limits.gateway_word_ms)
        return words.length >= count
      }),
  }
}

test("presence: says which start of which gateway it is, and how far the answer's time may be off", async () => {
  const { presence, words, answers, clock, heard } = setUp()
  const started_at = clock.now()
  presence.tell()
  assert.equal(words.length, 0, "not before it listens")
  presence.start(listening)
  const asked_at = clock.now()
  await heard(2)
  const [first, second] = words
  assert(first)
  const { instance, ...word } = first
  assert.match(instance, /^i_[0-9a-z]{16}$/)
  assert.deepEqual(word, { gateway: "gw/1", version, started_at, listening, workers: 1 })
  assert.equal(second?.instance, instance)
  assert.deepEqual(answers[0], { service: "a", at: 1, asked_at })
})

test("presence: of several processes the first speaks for how many there are", async () => {
  const { presence, words, heard } = setUp({ ...alone, index: 1, count: 3 })
  presence.start(listening)
  await heard(1)
  assert.equal(words[0]?.workers, undefined)
})

test("presence: a service that is away is told again, and what it has forgotten is announced", async () => {
  const { presence, answer, forgotten, heard, answers } = setUp()
  answer(undefined)
  presence.start(listening)
  await heard(3)
  assert.equal(answers.length, 0)
  answer({ announce: true })
  await heard(5)
  await eventually("it to be announced", () => forgotten() > 0)
})

test("presence: says goodbye once, and nothing after it, even to a service that is away", async () => {
  const { presence, words, clock, answer, heard } = setUp()
  presence.start(listening)
  await heard(1)
  answer(undefined)
  await presence.close()
  assert.equal(words.at(-1)?.leaving, true)
  const count = words.length
  presence.tell()
  clock.advance(10 * limits.gateway_word_ms)
  assert.equal(words.length, count)
})

test("presence: one whose name another gateway has says so loudly once, and takes nobody's place away", async () => {
  const { presence, words, answer, lines, heard } = setUp()
  answer({ superseded: true })
  presence.start(listening)
  await heard(3)
  assert.equal(lines.filter((line) => line.includes("another gateway has this name")).length, 1)
  await presence.close()
  assert(words.every(({ leaving }) => leaving === undefined))
})
