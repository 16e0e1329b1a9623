import assert from "node:assert/strict"
import { once } from "node:events"
import { PassThrough, Writable } from "node:stream"
import { describe, test } from "node:test"
import { pump } from "../../../src/gateway/pump.ts"

function setUp() {
  const controller = new AbortController()
  const counted = { up: 0, down: 0 }
  const session = { signal: controller.signal, count: (direction: "up" | "down", bytes: number) => void (counted[direction] += bytes) }
  return { controller, session, counted, from: new PassThrough(), to: new PassThrough() }
}

const nextTurn = () => new Promise((resolve) => setImmediate(resolve))

describe("the pump", () => {
  test("forwards every byte in order, counts it, and passes the end on", async () => {
    const { session, counted, from, to } = setUp()
    const done = pump({ from, to, session, direction: "up" })
    from.write("select ")
    from.end("1")
    await done
    assert.equal((await to.toArray()).join(""), "select 1")
    assert.deepEqual(counted, { up: 8, down: 0 })
  })

  test("forwards nothing once the signal has aborted, not even what was read before", async () => {
    const { controller, session, counted, from, to } = setUp()
    const done = pump({ from, to, session, direction: "down" })
    from.write("before")
    await nextTurn()
    controller.abort()
    from.write("after")
    await done
    await nextTurn()
    assert.equal(String(to.read()), "before")
    assert.equal(counted.down, 6)
    assert.equal(to.writableEnded, false, "the end is not passed on either: the farewell comes first")
  })

  test("forwards nothing when recording it has just cut the session", async () => {
    const { controller, session, from, to } = setUp()
    const pass = (chunk: Buffer) => {
      controller.abort()
      return chunk
    }
    const done = pump({ from, to, session, direction: "up", pass })
    from.write("unrecorded")
    await done
    assert.equal(to.read(), null)
  })

  test("stops reading while the other side is full, and goes on when it drains", async () => {
    const { session, from } = setUp()
    const taken: (() => void)[] = []
    const to = new Writable({ highWaterMark: 1, write: (_chunk, _encoding, done) => void taken.push(done) })
    const done = pump({ from, to, session, direction: "down" })
    from.write("a".repeat(100))
    from.write("b".repeat(100))
    await nextTurn()
    assert.equal(taken.length, 1)
    assert.equal(from.isPaused(), true)
    from.end()
    while (taken.length > 0) {
      taken.shift()!()
      await nextTurn()
    }
    await done
  })

  test("says so when a side breaks, and when what passes is not allowed to", async () => {
    const { session, from, to } = setUp()
    const done = pump({ from, to, session, direction: "up" })
    from.destroy(new Error("reset"))
    await assert.rejects(done, /reset/)

    const second = setUp()
    const refused = pump({
      ...second,
      direction: "up",
      pass: () => {
        throw new Error("not a message")
      },
    })
    second.from.write("garbage")
    await assert.rejects(refused, /not a message/)
    assert.equal(second.to.read(), null)
  })

  test("settles when the side it writes to goes away", async () => {
    const { session, from, to } = setUp()
    const done = pump({ from, to, session, direction: "down" })
    to.destroy()
    await once(to, "close")
    await done
  })
})
