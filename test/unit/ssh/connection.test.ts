import assert from "node:assert/strict"
import { randomBytes } from "node:crypto"
import { suite, test } from "node:test"
import type { Channel } from "../../../protocols/ssh/channel.ts"
import { message, pack } from "../../../protocols/ssh/codec.ts"
import type { Connection } from "../../../protocols/ssh/connection.ts"
import { limits } from "../../../src/core/limits.ts"
import { eventually } from "../../support/wait.ts"
import { connect, serve, type Served } from "./rig.ts"

interface Pair extends Served {
  readonly client: Connection
  readonly near: Channel
  readonly far: Channel
}

async function openPair(): Promise<Pair> {
  const served = serve()
  const client = await connect(served.socket)
  const near = await client.openSession()
  return { ...served, client, near, far: served.opened[0]! }
}

async function collect(stream: AsyncIterable<Buffer>): Promise<Buffer> {
  const parts: Buffer[] = []
  for await (const part of stream) parts.push(part)
  return Buffer.concat(parts)
}

suite("ssh: channels", () => {
  test("bytes arrive as they were sent, both ways at once, far beyond a window", async () => {
    const { near, far } = await openPair()
    const up = randomBytes(3 * limits.ssh_window_bytes)
    const down = randomBytes(3 * limits.ssh_window_bytes)
    near.end(up)
    far.end(down)
    const [arrivedUp, arrivedDown] = await Promise.all([collect(far), collect(near)])
    assert.ok(arrivedUp.equals(up))
    assert.ok(arrivedDown.equals(down))
  })

  test("stdout and stderr that both wait for the window arrive whole and once", async () => {
    const { near, far } = await openPair()
    const stdout = randomBytes(2 * limits.ssh_window_bytes + 1)
    const stderr = randomBytes(2 * limits.ssh_window_bytes + 1)
    far.stderr.write(stderr)
    far.write(stdout)
    void far.flushed().then(() => far.end())
    const [out, err] = await Promise.all([collect(near), collect(near.stderrIn)])
    assert.ok(out.equals(stdout))
    assert.ok(err.equals(stderr))
  })

  test("nobody reads: one window is under way, and the writer waits", async () => {
    const { near, far } = await openPair()
    let taken = 0
    const chunk = Buffer.alloc(64 * 1024)
    const write = (): void => {
      far.write(chunk, () => {
        taken += chunk.length
        if (far.open) write()
      })
    }
    write()
    await eventually("the window to fill", () => near.readableLength === limits.ssh_window_bytes)
    for (let turn = 0; turn < 100; turn++) await new Promise(setImmediate)
    assert.equal(near.readableLength, limits.ssh_window_bytes)
    assert.equal(taken, limits.ssh_window_bytes)
  })

  test("more data than the window allows is a broken protocol", async () => {
    const { near, client, broken, socket } = await openPair()
    const flood = Buffer.alloc(32 * 1024)
    for (let sent = 0; sent <= limits.ssh_window_bytes * 2; sent += flood.length) {
      client.transport.sendData(near.id, flood, undefined)
    }
    await client.closed
    assert.equal(broken[0]?.code, "protocol_broken")
    assert.equal(socket.destroyed, true)
  })

  test("who takes nothing is given up at once, and nothing more is made for them", async () => {
    const { client, socket } = await openPair()
    socket.pause()
    const { transport } = client
    for (let sent = 0; sent <= 2 * limits.ssh_untaken_bytes_max; sent += 128) transport.ignore()
    assert.equal(transport.over, true)
    const unsent = transport.unsent
    transport.ignore()
    assert.equal(transport.unsent, unsent)
    await client.closed
  })

  test("what came before the close can still be read after it", async () => {
    const { near, far } = await openPair()
    far.end("the last words")
    await new Promise((resolve) => far.once("finish", resolve))
    far.closeNow()
    await near.gone
    assert.equal((await collect(near)).toString(), "the last words")
  })

  test("the exit status comes before the end of output, the end of output before the close", async () => {
    const { near, far } = await openPair()
    const order: string[] = []
    near.onRequest = (type) => (order.push(type), false)
    near.on("end", () => order.push("end")).resume()
    void near.gone.then(() => order.push("close"))
    void far.request("exit-status", pack(3), false)
    far.end(() => far.closeNow())
    await near.gone
    await new Promise(setImmediate)
    assert.deepEqual(order, ["exit-status", "end", "close"])
  })

  test("silenced, only last words are sent", async () => {
    const { near, far } = await openPair()
    far.silence()
    far.write("not this")
    far.stderr.write("nor this")
    far.lastWords("it is over")
    far.end()
    const [out, err] = await Promise.all([collect(near), collect(near.stderrIn)])
    assert.equal(out.toString(), "")
    assert.equal(err.toString(), "it is over")
  })

  test("there are so many channels and no more, and a closed one makes room", async () => {
    const { client, near, far } = await openPair()
    for (let count = 1; count < limits.ssh_channels_max; count++) await client.openSession()
    await assert.rejects(client.openSession(), { code: "target_broke" })
    near.closeNow()
    await far.gone
    await client.openSession()
  })

  for (const [what, payload] of [
    ["data for a channel that never was", Buffer.concat([Buffer.of(message.channel_data), pack(77, "x")])],
    ["a message that is cut short", Buffer.of(message.channel_request, 0, 0)],
    ["an answer to no question", Buffer.concat([Buffer.of(message.channel_open_confirmation), pack(5, 5, 5, 5)])],
    ["a message nobody knows", Buffer.of(127)],
  ] as const) {
    test(`${what} closes the connection`, async () => {
      const { client, broken } = await openPair()
      client.transport.send(payload)
      await client.closed
      assert.equal(broken[0]?.code, "protocol_broken")
    })
  }

  for (const [what, kind, body] of [
    ["data after its end", message.channel_data, pack("x")],
    ["a window beyond 2^32", message.channel_window_adjust, pack(0xffffffff)],
  ] as const) {
    test(`${what} closes the connection`, async () => {
      const { client, near, far, broken } = await openPair()
      near.end()
      far.resume()
      await new Promise((resolve) => far.once("end", resolve))
      client.transport.send(Buffer.concat([Buffer.of(kind), pack(near.id), body]))
      await client.closed
      assert.equal(broken[0]?.code, "protocol_broken")
    })
  }

  test("a channel that wants a packet for every few bytes closes the connection", async () => {
    const { client, broken } = await openPair()
    client.transport.send(Buffer.concat([Buffer.of(message.channel_open), pack("session", 9, limits.ssh_window_bytes, 1)]))
    await client.closed
    assert.equal(broken[0]?.code, "protocol_broken")
  })

  test("a connection that is gone ends every channel and every question", async () => {
    const { client, near, far, socket } = await openPair()
    const asked = near.request("never-answered", Buffer.alloc(0))
    far.onRequest = () => assert.fail("the socket is gone")
    socket.destroy()
    await Promise.all([near.gone, far.gone, client.closed])
    assert.equal(await asked, false)
  })
})
