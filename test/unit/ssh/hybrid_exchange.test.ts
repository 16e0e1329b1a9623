import assert from "node:assert/strict"
import { once } from "node:events"
import type { Duplex } from "node:stream"
import { suite, test } from "node:test"
import { Reader } from "../../../protocols/ssh/codec.ts"
import { hybridClient, hybridName, hybridServer } from "../../../protocols/ssh/hybrid_exchange.ts"
import { keyLife } from "../../../protocols/ssh/key_renewal.ts"
import { limits } from "../../../src/core/limits.ts"
import { wire } from "../../support/wire.ts"
import { connect, serve, ssh2Client, targetWith } from "./rig.ts"

const [kexinit, kex_init, kex_reply] = [20, 30, 31] // RFC 4253, section 12; RFC 5656, section 7.1
const [client_bytes, server_bytes] = [1184 + 32, 1088 + 32]

/** Payloads sent in the clear, up to the new keys: those behind the line with the version. */
function* payloads(sent: Buffer): Generator<Buffer> {
  let at = sent.indexOf("\r\n") + 2
  while (at + 5 <= sent.length) {
    const length = sent.readUInt32BE(at)
    if (at + 4 + length > sent.length) return
    yield sent.subarray(at + 5, at + 4 + length - sent[at + 4]!)
    at += 4 + length
  }
}

/** A line that keeps what goes over it. */
function tapped(socket: Duplex): { readonly client: Duplex; readonly up: Buffer[]; readonly down: Buffer[] } {
  const { near, far } = wire()
  const [up, down]: [Buffer[], Buffer[]] = [[], []]
  far.on("data", (chunk: Buffer) => (up.push(chunk), socket.write(chunk)))
  socket.on("data", (chunk: Buffer) => (down.push(chunk), far.write(chunk)))
  socket.once("close", () => far.destroy())
  return { client: near, up, down }
}

suite("ssh: the post-quantum key exchange", () => {
  test("both sides get the same secret, and another one each time", () => {
    const secrets = [1, 2].map(() => {
      const [client, server] = [hybridClient(), hybridServer()]
      const theirs = server.agree(client.message)
      assert.deepEqual([client.message.length, server.message.length, theirs.length], [client_bytes, server_bytes, 32])
      assert.deepEqual(client.agree(server.message), theirs)
      return theirs.toString("hex")
    })
    assert.notEqual(secrets[0], secrets[1])
  })

  test("either half alone decides the secret", () => {
    const client = hybridClient()
    const server = hybridServer()
    const secret = server.agree(client.message)
    for (const at of [0, server_bytes - 32]) {
      const changed = Buffer.from(server.message)
      changed[at] = changed[at]! ^ 1
      assert.notDeepEqual(client.agree(changed), secret)
    }
  })

  const changed = (message: Buffer, at: number, bytes: Buffer): Buffer => {
    const copy = Buffer.from(message)
    bytes.copy(copy, at)
    return copy
  }
  const { message } = hybridClient()
  for (const [what, bad] of [
    ["too short", message.subarray(1)],
    ["too long", Buffer.concat([message, Buffer.alloc(1)])],
    ["empty", Buffer.alloc(0)],
    ["without its quantum half", message.subarray(1184)],
    ["with a share that gives zero", changed(message, 1184, Buffer.alloc(32))],
    ["with a key whose numbers are too large", changed(message, 0, Buffer.alloc(384, 255))],
  ] as const) {
    test(`a client's message ${what} is refused`, () => assert.throws(() => hybridServer().agree(bad)))
  }

  test("a server's message of the wrong length is refused, and one whose share gives zero", () => {
    const [client, server] = [hybridClient(), hybridServer()]
    server.agree(client.message)
    assert.throws(() => client.agree(server.message.subarray(1)))
    assert.throws(() => client.agree(changed(server.message, 1088, Buffer.alloc(32))))
  })

  test("it is what our own client and server speak, first and for each renewal", async () => {
    const served = serve()
    const line = tapped(served.socket)
    const client = await connect(line.client, targetWith(), { ...keyLife, bytes_max: 64 * 1024 })
    const [first, second] = [...payloads(Buffer.concat(line.up))]
    assert.deepEqual([first?.[0], second?.[0]], [kexinit, kex_init])
    assert.equal(new Reader(second!, 1).bytes().length, client_bytes)
    const reply = [...payloads(Buffer.concat(line.down))][1]!
    assert.equal(reply[0], kex_reply)
    const reader = new Reader(reply, 1)
    reader.bytes() // the host key
    assert.equal(reader.bytes().length, server_bytes)
    const near = await client.openSession()
    const keys = once(served.opened[0]!, "end")
    served.opened[0]!.resume()
    near.end(Buffer.alloc(limits.ssh_window_bytes))
    await keys // dozens of renewals; an exchange that failed would have closed the connection
    assert.equal(client.transport.over, false)
  })

  test("a client that does not know it gets in as before", async () => {
    const { client, said } = await ssh2Client(serve().socket)
    assert.deepEqual(said, [])
    client.end()
  })

  test("the exchange that stands for it is not to be had", async () => {
    const { said } = await ssh2Client(serve().socket, { algorithms: { kex: ["diffie-hellman-group17-sha512"] } as never })
    assert.match(said.join(), /no matching key exchange|KEY_EXCHANGE_FAILED/)
  })

  test("what is proposed, word for word", async () => {
    const { socket } = serve()
    socket.write("SSH-2.0-PuTTY_Release_0.83\r\n")
    const parts: Buffer[] = []
    let lists: string[] | undefined
    for await (const part of socket as AsyncIterable<Buffer>) {
      parts.push(part)
      const [payload] = [...payloads(Buffer.concat(parts))]
      if (!payload) continue
      const reader = new Reader(payload, 17)
      lists = Array.from({ length: 10 }, () => reader.text())
      break
    }
    const ciphers = /^aes128-gcm@openssh\.com,aes256-gcm@openssh\.com,(chacha20-poly1305@openssh\.com,)?aes256-ctr,aes128-ctr$/
    const macs = "hmac-sha2-256-etm@openssh.com,hmac-sha2-512-etm@openssh.com"
    assert.equal(
      lists?.[0],
      `${hybridName},curve25519-sha256,curve25519-sha256@libssh.org,diffie-hellman-group16-sha512,kex-strict-s-v00@openssh.com`,
    )
    assert.equal(lists[1], "ssh-ed25519-cert-v01@openssh.com,ssh-ed25519")
    for (const list of lists.slice(2, 4)) assert.match(list, ciphers)
    assert.deepEqual(lists.slice(4), [macs, macs, "none", "none", "", ""])
  })
})
