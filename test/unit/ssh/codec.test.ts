import assert from "node:assert/strict"
import { suite, test } from "node:test"
import { pack, packExit, packTerminal, Reader, readExit, readSize, readTerminal } from "../../../protocols/ssh/codec.ts"
import { GatewayError } from "../../../src/core/errors.ts"

const broken = (error: unknown): boolean => error instanceof GatewayError && error.code === "protocol_broken"

suite("ssh: data types", () => {
  test("what is packed is read back, byte for byte", () => {
    const reader = new Reader(pack(7, true, "grüße", Buffer.of(0, 255), { uint64: 2n ** 60n }))
    assert.equal(reader.uint32(), 7)
    assert.equal(reader.bool(), true)
    assert.equal(reader.text(), "grüße")
    assert.deepEqual(reader.bytes(), Buffer.of(0, 255))
    assert.equal(reader.rest().readBigUInt64BE(), 2n ** 60n)
  })

  test("a message that is shorter than it says is a broken protocol, wherever it is cut", () => {
    const whole = packTerminal({ term: "xterm", columns: 80, rows: 24, width: 640, height: 480, modes: Buffer.of(53, 0, 0, 0, 1, 0) })
    for (let length = 0; length < whole.length; length++) assert.throws(() => readTerminal(whole.subarray(0, length)), broken)
    assert.throws(() => readSize(Buffer.alloc(15)), broken)
    assert.throws(() => new Reader(Buffer.of(0xff, 0xff, 0xff, 0xff, 1)).bytes(), broken)
  })

  test("a terminal's modes reach the other side as they came", () => {
    const terminal = { term: "xterm", columns: 120, rows: 40, width: 0, height: 0, modes: Buffer.of(1, 0, 0, 0, 3, 129, 0, 0, 150, 0, 0) }
    assert.deepEqual(readTerminal(packTerminal(terminal)), terminal)
  })

  test("an exit is a status or a signal, any signal", () => {
    for (const exit of [{ status: 0 }, { status: 255 }, { signal: "XCPU", core: true, words: "too long" }]) {
      assert.deepEqual(readExit(...packExit(exit)), exit)
    }
    assert.equal(readExit("keepalive@openssh.com", Buffer.alloc(0)), undefined)
  })
})
