// A target that does not follow the protocol: the real gate and recorder, ssh2's client on one side and our own transport as the
// target's on the other, in memory. Whatever it says, and whenever, it costs its own session and nobody else's.
import assert from "node:assert/strict"
import type { Duplex } from "node:stream"
import { afterEach, suite, test } from "node:test"
import ssh2 from "ssh2"
import { message, pack } from "../../../protocols/ssh/codec.ts"
import type { Connection } from "../../../protocols/ssh/connection.ts"
import { ssh } from "../../../protocols/ssh/index.ts"
import { sftpPacket, sftpType } from "../../../protocols/ssh/sftp_packet.ts"
import type { Transport } from "../../../protocols/ssh/transport.ts"
import { destinationPattern } from "../../../src/core/destination.ts"
import { createHarness, type Harness } from "../../conformance/harness.ts"
import { Random } from "../../support/random.ts"
import { eventually } from "../../support/wait.ts"
import { serve, targetWith } from "./rig.ts"

const open: Harness[] = []
afterEach(() => open.splice(0).forEach((harness) => harness.close()))

/** What comes from the gateway is the test's to answer. */
type OnPayload = (payload: Buffer, transport: Transport) => void

async function rig(onPayload: () => OnPayload): Promise<Harness> {
  const anywhere = [destinationPattern("*:*")]
  const allow = { shell: true, exec: true, local_forward: anywhere, remote_forward: anywhere, agent: true, env: [] }
  const harness = await createHarness({
    protocol: ssh,
    targets: [targetWith({ name: "shop", allow })],
    serveTarget: (socket: Duplex) => {
      const answer = onPayload()
      const onConnection = ({ transport }: Connection): void =>
        transport.intercept((payload) => {
          if (!transport.authenticated || payload[0]! < message.global_request) return false
          answer(payload, transport)
          return true
        })
      const { socket: far } = serve({ onConnection })
      socket.pipe(far).pipe(socket)
      socket.once("close", () => far.destroy())
      far.once("close", () => socket.destroy())
    },
  })
  open.push(harness)
  harness.grant("shop")
  return harness
}

async function connect(harness: Harness): Promise<ssh2.Client> {
  const client = new ssh2.Client()
  client.on("error", () => {})
  client.connect({ sock: harness.connect().client, username: "deploy@shop", privateKey: harness.alice.privateKey })
  await new Promise<void>((resolve, reject) => client.once("ready", resolve).once("error", reject))
  return client
}

const gone = (client: ssh2.Client): Promise<void> => new Promise((resolve) => client.once("close", () => resolve()))

/** The channel that the gateway opens, confirmed under the number 0. */
const confirm = (payload: Buffer, transport: Transport): void => {
  const theirs = payload.readUInt32BE(5 + payload.readUInt32BE(1))
  transport.send(Buffer.concat([Buffer.of(message.channel_open_confirmation), pack(theirs, 0, 1 << 20, 1 << 15)]))
}

suite("ssh: a target that does not follow the protocol", () => {
  test("an answer that is no SFTP, before it says whether there is any: the client is told, and the gateway goes on", async () => {
    const harness = await rig(() => (payload, transport) => {
      if (payload[0] === message.channel_open) confirm(payload, transport)
      if (payload[0] === message.channel_request && payload.includes("subsystem"))
        transport.send(Buffer.concat([Buffer.of(message.channel_data), pack(0, "garbage that is no SFTP")]))
    })
    const client = await connect(harness)
    const words = await new Promise<string>((resolve, reject) =>
      client.subsys("sftp", (failure, channel) => {
        if (failure) return reject(failure)
        let said = ""
        channel.stderr.on("data", (chunk: Buffer) => (said += chunk.toString()))
        channel.resume().once("close", () => resolve(said))
      }),
    )
    assert.match(words, /SFTP was not followed/)
  })

  test("messages by chance, at any moment: the session ends or goes on, and others are served", async () => {
    let seed = 0
    const harness = await rig(() => {
      const random = new Random(seed)
      return (payload, transport) => {
        if (payload[0] === message.channel_open && random.chance(0.9)) confirm(payload, transport)
        while (random.chance(0.6)) transport.send(oddMessage(random))
      }
    })
    for (; seed < 20; seed++) {
      const client = await connect(harness)
      const closed = gone(client)
      const take = (failure: Error | undefined, channel: ssh2.ClientChannel): void => {
        if (failure) return
        channel
          .on("error", () => {})
          .resume()
          .end("x")
        channel.stderr.resume()
      }
      client.exec("a command", take)
      client.shell(take)
      client.subsys("sftp", take)
      client.forwardOut("127.0.0.1", 1, "10.0.0.9", 80, take)
      client.forwardIn("localhost", 0, () => {})
      for (let turn = 0; turn < 30; turn++) await new Promise(setImmediate)
      client.end()
      await closed
      await eventually(`seed ${seed}: the end`, () => harness.recording(harness.lastSession()).at(-1)?.kind === "end")
    }
  })
})

/** Of a kind that exists or not, with fields that are often almost right. */
function oddMessage(random: Random): Buffer {
  const number = (): Buffer => pack(random.pick([0, 1, 2, 3, 22, 80, 0x7fffffff, 0xffffffff]))
  const sftp = (): Buffer =>
    sftpPacket(random.pick([...Object.values(sftpType), 0]), random.below(3), random.pick([0, 1, "handle", Buffer.alloc(0)]), "", "")
  const field = (): Buffer =>
    random.pick([
      number,
      number,
      () => pack(random.pick(words)),
      () => pack(random.chance(0.5)),
      () => pack(sftp()),
      () => random.bytes(1 + random.below(64)),
    ])()
  const fields = Array.from({ length: random.below(6) }, field)
  const kinds = [...Object.values(message).filter((kind) => kind >= message.global_request), 2, 3, 4, 5, 6, 20, 21, 30, 31, 50, 52, 192]
  return Buffer.concat([Buffer.of(random.pick(kinds)), random.chance(0.7) ? pack(random.below(5)) : Buffer.alloc(0), ...fields])
}

const words = [
  "exit-status",
  "exit-signal",
  "eow@openssh.com",
  "keepalive@openssh.com",
  "hostkeys-00@openssh.com",
  "session",
  "x11",
  "forwarded-tcpip",
  "forwarded-streamlocal@openssh.com",
  "auth-agent@openssh.com",
  "localhost",
  "KILL",
  "",
]
