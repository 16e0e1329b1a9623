import assert from "node:assert/strict"
import { suite, test } from "node:test"
import { closeFrame, FrameScanner } from "../../../protocols/http/websocket_frames.ts"
import { limits } from "../../../src/core/limits.ts"

const frame = (size: number, first = 0x82): Buffer => {
  const head = size < 126 ? Buffer.from([first, size]) : size < 65_536 ? Buffer.alloc(4) : Buffer.alloc(10)
  if (size >= 126) head.set([first, size < 65_536 ? 126 : 127])
  if (size >= 126 && size < 65_536) head.writeUInt16BE(size, 2)
  if (size >= 65_536) head.writeBigUInt64BE(BigInt(size), 2)
  return Buffer.concat([head, Buffer.alloc(size, 0x82)])
}

suite("websocket: frames", () => {
  test("boundaries are found however the bytes are cut, for every size of length", () => {
    const sizes = [0, 1, 125, 126, 65_535, 65_536, 70_000]
    const bytes = Buffer.concat(sizes.map((size) => frame(size)))
    const boundaries = new Set<number>()
    sizes.reduce((at, size) => {
      boundaries.add(at + frame(size).length)
      return at + frame(size).length
    }, 0)
    for (const step of [1, 7, 1_000, bytes.length]) {
      const scanner = new FrameScanner()
      for (let at = 0; at < bytes.length; at += step) {
        scanner.see(bytes.subarray(at, at + step))
        assert.equal(scanner.atBoundary, boundaries.has(Math.min(at + step, bytes.length)), `${step} at ${at}`)
      }
    }
  })

  test("after a close frame there is no place for another", () => {
    const scanner = new FrameScanner()
    scanner.see(frame(2, 0x88))
    assert.equal(scanner.atBoundary, false)
  })

  test("the reason is cut at a character's end and fits a control frame", () => {
    const words = "é".repeat(100)
    const sent = closeFrame(1008, words)
    assert.equal(sent.readUInt16BE(2), 1008)
    assert.equal(sent[1], sent.length - 2)
    assert.ok((sent[1] ?? 126) <= 125)
    const reason = sent.subarray(4)
    assert.ok(reason.length <= limits.websocket_close_reason_bytes_max)
    assert.equal(reason.toString(), "é".repeat(61))
    assert.equal(closeFrame(1012, "short").subarray(4).toString(), "short")
  })
})
