import assert from "node:assert/strict"
import { test } from "node:test"
import { message, protocol_3_0, startupMessage } from "../../../protocols/postgres/codec.ts"
import { downstreamOf, isLoopback, readStartup, readToken } from "../../../protocols/postgres/downstream.ts"
import type { Startup } from "../../../protocols/postgres/startup.ts"
import { GatewayError, type ErrorCode } from "../../../src/core/errors.ts"
import { limits } from "../../../src/core/limits.ts"
import type { Gate } from "../../../src/gateway/contract.ts"
import { wire } from "../../support/wire.ts"

const packet = startupMessage(protocol_3_0, [
  ["user", "readonly"],
  ["database", "orders"],
])
const refused = (code: ErrorCode, words?: RegExp) => (failure: unknown) =>
  failure instanceof GatewayError && failure.code === code && (words?.test(failure.say) ?? true)

function arriving(address: string, ...chunks: readonly Buffer[]) {
  const { near, far } = wire()
  for (const chunk of chunks) far.write(chunk)
  const said: Buffer[] = []
  far.on("data", (chunk: Buffer) => said.push(chunk))
  return { side: downstreamOf(near), gate: { address } as Gate, far, said }
}

test("downstream: a token is not asked for in the clear, but from the gateway's own machine", async () => {
  for (const [address, local] of [
    ["203.0.113.7:5000", false],
    ["127.0.0.1:5000", true],
    ["::1:5000", true],
    ["[::1]:5000", true],
    ["::ffff:127.0.0.1:5000", true],
    ["127.evil.example:5000", false],
  ] as const) {
    assert.equal(isLoopback(address), local, address)
    const { side, gate, said } = arriving(address, packet, message("p", "token"))
    const startup = (await readStartup(side, gate)) as Startup
    if (local) assert.equal((await readToken(side, gate, startup))?.reveal(), "token")
    else {
      await assert.rejects(readToken(side, gate, startup), refused("unsupported", /sslmode=require/))
      assert.deepEqual(said, [])
    }
  }
})

test("downstream: a startup packet is bounded before it is read, and so is a token", async () => {
  const head = Buffer.alloc(4)
  head.writeInt32BE(limits.startup_bytes_max + 1)
  const large = arriving("127.0.0.1:1", head)
  await assert.rejects(readStartup(large.side, large.gate), refused("too_large"))
  head.writeInt32BE(-1)
  const negative = arriving("127.0.0.1:1", head)
  await assert.rejects(readStartup(negative.side, negative.gate), refused("protocol_broken"))
  const { side, gate } = arriving("127.0.0.1:1", packet, message("p", "x".repeat(limits.auth_token_bytes_max)))
  await assert.rejects(readToken(side, gate, (await readStartup(side, gate)) as Startup), refused("too_large"))
})

test("downstream: byte by byte is as good as at once; a client that leaves is no error", async () => {
  const slow = arriving("127.0.0.1:1", ...Array.from(packet, (byte) => Buffer.of(byte)))
  assert.equal(((await readStartup(slow.side, slow.gate)) as Startup).target, "orders")
  const left = arriving("127.0.0.1:1", packet)
  const startup = (await readStartup(left.side, left.gate)) as Startup
  left.far.end()
  assert.equal(await readToken(left.side, left.gate, startup), undefined)
  const gone = arriving("127.0.0.1:1", packet.subarray(0, 20))
  gone.far.end()
  assert.equal(await readStartup(gone.side, gone.gate), undefined)
})

test("downstream: a password with a NUL in it, or another message, is not a token", async () => {
  for (const answer of [message("p", "to\0ken"), message("p", Buffer.from("token")), message("p"), message("Q", "SELECT 1")]) {
    const { side, gate } = arriving("127.0.0.1:1", packet, answer)
    await assert.rejects(readToken(side, gate, (await readStartup(side, gate)) as Startup), refused("protocol_broken"))
  }
})
