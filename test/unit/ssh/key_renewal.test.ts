import assert from "node:assert/strict"
import { randomBytes } from "node:crypto"
import type { Duplex } from "node:stream"
import { suite, test } from "node:test"
import ssh2 from "ssh2"
import type { Channel } from "../../../protocols/ssh/channel.ts"
import { message, pack } from "../../../protocols/ssh/codec.ts"
import type { Connection } from "../../../protocols/ssh/connection.ts"
import { keyLife } from "../../../protocols/ssh/key_renewal.ts"
import { type Ssh2Connection, Transport } from "../../../protocols/ssh/transport.ts"
import { systemClock } from "../../../src/core/clock.ts"
import { limits } from "../../../src/core/limits.ts"
import { FakeClock } from "../../support/fake_clock.ts"
import { eventually } from "../../support/wait.ts"
import { wire } from "../../support/wire.ts"
import { connect, hostKey, serve, slowLine, ssh2Client, targetWith, userKey } from "./rig.ts"

const KiB = 1024
const kexinit = 20 // RFC 4253, section 12
const short = { bytes_max: 256 * KiB, ms_max: limits.ssh_keys_ms_max }

/** How often each side has new keys, the first ones not counted. */
const renewals = (connection: Connection): (() => number) => {
  const { transport } = connection
  const before = transport.onKeys
  let count = 0
  transport.onKeys = () => {
    count++
    before?.()
  }
  return () => count
}

async function collect(stream: AsyncIterable<Buffer>): Promise<Buffer> {
  const parts: Buffer[] = []
  for await (const part of stream) parts.push(part)
  return Buffer.concat(parts)
}

suite("ssh: new keys", () => {
  for (const [who, ours, theirs] of [
    ["the server wants them", short, keyLife],
    ["the client wants them", keyLife, short],
    ["both want them at once", short, short],
  ] as const) {
    test(`${who}: bytes arrive as they were sent, both ways at once, through many exchanges`, async () => {
      const served = serve({ life: ours })
      const client = await connect(served.socket, targetWith(), theirs)
      const near = await client.openSession()
      const far = served.opened[0]!
      const renewed = [renewals(client), renewals(await served.server)]
      const [up, down, err] = [1, 2, 3].map(() => randomBytes(8 * limits.ssh_window_bytes)) as [Buffer, Buffer, Buffer]
      near.end(up)
      far.write(down)
      far.stderr.write(err)
      const collecting = [collect(far), collect(near), collect(near.stderrIn)]
      await Promise.all([far.flushed(), collecting[0]])
      far.end(() => far.closeNow())
      const arrived = await Promise.all(collecting)
      assert.deepEqual(
        arrived.map((bytes, index) => bytes.equals([up, down, err][index]!)),
        [true, true, true],
      )
      for (const count of renewed) assert.ok(count() >= 20, `${count()} exchanges`)
    })
  }

  test("an hour is enough, with next to nothing sent", async () => {
    const clock = new FakeClock()
    const { socket } = serve({ clock })
    let exchanges = 0
    const { client } = await ssh2Client(socket)
    client.on("handshake", () => exchanges++)
    const ask = (): Promise<void> => new Promise((resolve) => client.exec("true", () => resolve()))
    clock.advance(limits.ssh_keys_ms_max - 1)
    client.exec("true", () => {})
    for (let turn = 0; turn < 20; turn++) await new Promise(setImmediate)
    assert.equal(exchanges, 0)
    clock.advance(1)
    void ask()
    await eventually("new keys", () => exchanges === 1)
  })

  interface Stalled {
    readonly near: Channel
    readonly far: Channel
    readonly server: Connection
    sent(): number
    go(): void
  }

  /** The server has begun an exchange with data in hand; the client does not hear of it. */
  async function stalled(): Promise<Stalled> {
    const served = serve({ life: short })
    const line = slowLine(served.socket)
    const client = await connect(line.client)
    const near = await client.openSession()
    const far = served.opened[0]!
    const server = await served.server
    let sent = 0
    far.onSent = (data) => (sent += data.length)
    line.wait()
    far.write(randomBytes(1024 * KiB))
    await eventually("an exchange to begin", () => server.transport.exchanging)
    return { near, far, server, sent: () => sent, go: () => line.go() }
  }

  test("what is written during an exchange makes its writer wait, and is sent after it", async () => {
    const { near, far, server, sent, go } = await stalled()
    const before = sent()
    assert.ok(before < 512 * KiB, `${before} bytes were sent`)
    assert.equal(server.transport.unsent < 512 * KiB, true)
    assert.equal(far.writableNeedDrain, true)
    go()
    far.end()
    assert.equal((await collect(near)).length, 1024 * KiB)
  })

  test("what waits for new keys is never sent when the session is cut meanwhile", async () => {
    const { near, far, sent, go, server } = await stalled()
    const before = sent()
    far.silence()
    go()
    await eventually("the exchange to be over", () => !server.transport.exchanging)
    far.closeNow()
    assert.equal((await collect(near)).length, before)
  })

  test("last words and a disconnect do not wait for a client that never exchanges keys", async () => {
    const { far, server } = await stalled()
    far.silence()
    far.lastWords("it is over\n")
    server.transport.disconnect(11, "over")
    assert.equal(server.transport.over, true)
    assert.equal(server.transport.socket.writableEnded, true)
  })

  /** Logged in, and deaf to the server's wish for new keys. */
  async function deaf(socket: Duplex): Promise<Transport> {
    const client = new ssh2.Client()
    client.on("error", () => {})
    client.connect({ sock: socket, username: "deploy", privateKey: userKey.privateKey })
    const transport = new Transport(client as unknown as Ssh2Connection, systemClock(), keyLife)
    transport.intercept((payload) => payload[0] === kexinit)
    await new Promise<void>((resolve) => void client.once("ready", resolve))
    return transport
  }

  test("of an exchange that is over nothing stays but what the next goes on from, on both sides", async () => {
    const { near, far } = wire()
    const transports: Transport[] = []
    const watch = (connection: unknown): Ssh2Connection => {
      transports.push(new Transport(connection as Ssh2Connection, systemClock(), keyLife))
      return connection as Ssh2Connection
    }
    const server = new ssh2.Server({ hostKeys: [hostKey.privateKey] })
    const accepted = new Promise<Ssh2Connection>((resolve) => {
      server.once("connection", (connection) => {
        resolve(watch(connection.on("authentication", (attempt) => attempt.accept())))
      })
    })
    server.injectSocket(far as never)
    const client = new ssh2.Client()
    client.connect({ sock: near, username: "deploy", privateKey: userKey.privateKey })
    const sides = [watch(client), await accepted]
    await new Promise<void>((resolve) => void client.once("ready", resolve))
    const kept = () => sides.map(({ _protocol: protocol }) => Object.keys(protocol?._kex ?? {}).toSorted())
    const enough = ["negotiated", "remoteExtInfoEnabled", "sessionID"]
    assert.deepEqual(kept(), [enough, enough])
    const [session] = sides.map(({ _protocol: protocol }) => protocol?._kex?.sessionID)
    const renewed = transports.map((transport) => new Promise<void>((resolve) => (transport.onKeys = resolve)))
    sides[0]?._protocol?.rekey()
    await Promise.all(renewed)
    assert.deepEqual(kept(), [enough, enough])
    for (const side of sides) assert.deepEqual(side._protocol?._kex?.sessionID, session)
    near.destroy()
  })

  const question = Buffer.concat([Buffer.of(message.global_request), pack("keepalive@openssh.com", true)])

  test("a client that goes on talking without exchanging keys is closed in time", async () => {
    const clock = new FakeClock()
    const { socket, server } = serve({ clock })
    const transport = await deaf(socket)
    clock.advance(limits.ssh_keys_ms_max)
    transport.send(question)
    await eventually("the exchange to begin", async () => (await server).transport.exchanging)
    transport.send(question)
    for (let turn = 0; turn < 20; turn++) await new Promise(setImmediate)
    assert.equal(socket.destroyed, false)
    clock.advance(limits.ssh_exchange_ms_max + 1)
    transport.send(question)
    await (
      await server
    ).closed
  })

  test("the answers that wait for a client that does not exchange keys are bounded", async () => {
    const clock = new FakeClock()
    const { socket, server } = serve({ clock })
    const transport = await deaf(socket)
    const { transport: ours, closed } = await server
    clock.advance(limits.ssh_keys_ms_max)
    // A refused channel is the longest answer that a few bytes provoke.
    const open = Buffer.concat([Buffer.of(message.channel_open), pack("session", 0, 0, 1024)])
    let largest = 0
    for (let count = 0; !ours.over && count < 1_000; count++) {
      for (let each = 0; each < 1_000; each++) transport.send(open)
      largest = Math.max(largest, ours.unsent)
      while (!ours.over && socket.writableLength > 0) await new Promise(setImmediate)
    }
    await closed
    assert.ok(largest < limits.ssh_unsent_bytes_max + 64 * KiB)
  })
})
