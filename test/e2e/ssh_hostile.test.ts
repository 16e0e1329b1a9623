// Clients that leave at the wrong moment or send what no client sends: the gateway lives, and keeps nothing of theirs.
import assert from "node:assert/strict"
import { randomBytes } from "node:crypto"
import { connect, type Socket } from "node:net"
import { after, before, suite, test } from "node:test"
import ssh2 from "ssh2"
import { message, pack } from "../../protocols/ssh/codec.ts"
import { keyLife } from "../../protocols/ssh/key_renewal.ts"
import { type Ssh2Connection, Transport } from "../../protocols/ssh/transport.ts"
import { systemClock } from "../../src/core/clock.ts"
import { type People, people } from "../support/people.ts"
import { must } from "../support/run.ts"
import { type Sluice, spawnSluice } from "../support/sluice.ts"
import { sshTarget } from "../support/sluice_config.ts"
import { type Sshd, startSshd } from "../support/sshd.ts"
import { needs } from "../support/tools.ts"
import { eventually } from "../support/wait.ts"

const runs = 40
const words = ["session", "direct-tcpip", "exec", "shell", "pty-req", "env", "signal", "subsystem", "window-change", "ssh-userauth", "none"]

suite("ssh: hostile clients", { skip: needs("ssh", "sshd", "ssh-keygen"), concurrency: 1 }, () => {
  const { alice, bob, carol }: People = people()
  let sshd: Sshd
  let sluice: Sluice

  before(async () => {
    sshd = await startSshd()
    // A child: an exception that nobody catches ends it, as it would end a gateway.
    sluice = await spawnSluice({ users: [alice, bob, carol], targets: [sshTarget("prod-host", sshd)] })
    await sluice.grant(alice, "prod-host", { by: bob, for: "1h" })
  })
  after(async () => {
    await sluice.stop()
    await sshd.stop()
  })

  const goesOn = async (): Promise<void> => {
    assert.ok(sluice.program?.running, sluice.log())
    await eventually("every session to be over", async () => (await sluice.sessions(bob, true)).length === 0)
    assert.equal(await must("ssh", [...sluice.ssh(alice), "-J", "gateway", `${sshd.login}@prod-host`, "echo in"]), "in\n")
  }

  const login = (username: string, more: ssh2.ConnectConfig = { privateKey: alice.privateKey }): ssh2.Client => {
    const client = new ssh2.Client()
    client.on("error", () => {})
    return client.connect({ host: "127.0.0.1", port: sluice.port("ssh"), username, ...more })
  }
  const closed = (client: ssh2.Client): Promise<void> => new Promise((resolve) => client.once("close", () => resolve()))

  test("who leaves while the grant is looked up leaves no session behind", async () => {
    const client = new ssh2.Client()
    const key = ssh2.utils.parseKey(alice.privateKey) as ssh2.ParsedKey
    client.on("error", () => {})
    const over = closed(client)
    client.connect({
      host: "127.0.0.1",
      port: sluice.port("ssh"),
      username: `${sshd.login}@prod-host`,
      agent: new LeavingAgent(key, () => (client as unknown as { _sock: Socket })._sock.end()),
    })
    await over
    await eventually("the session to have been opened", () => sluice.recorded().length > 0)
    await goesOn()
  })

  for (const [stage, user] of [
    ["before the login", "x"],
    ["at the gateway", "x"],
    ["at a target", "target"],
  ] as const) {
    test(`messages that nobody sends, ${stage}`, async () => {
      for (let run = 0; run < runs; run++) {
        const waits = stage === "before the login"
        const config: ssh2.ConnectConfig = waits ? { authHandler: () => undefined } : { privateKey: alice.privateKey }
        const client = login(user === "target" ? `${sshd.login}@prod-host` : user, config)
        const over = closed(client)
        client.once((waits ? "handshake" : "ready") as "ready", () => {
          const transport = new Transport(client as unknown as Ssh2Connection, systemClock(), keyLife)
          transport.send(Buffer.concat([Buffer.of(message.channel_open), pack("session", 0, 1 << 20, 1 << 15)]))
          for (let count = 0; count < 10; count++) transport.send(oddMessage())
          setImmediate(() => client.end())
        })
        await over
      }
      await goesOn()
    })
  }

  test("a way to a target that does not say which", async () => {
    const client = login("x")
    const over = closed(client)
    client.once("ready", () => {
      const transport = new Transport(client as unknown as Ssh2Connection, systemClock(), keyLife)
      transport.send(Buffer.concat([Buffer.of(message.channel_open), pack("direct-tcpip", 0, 1 << 20, 1 << 15)]))
    })
    await over
    await goesOn()
  })

  test("bytes that are no SSH, or stop being it", async () => {
    for (let run = 0; run < runs; run++) {
      const socket = connect(sluice.port("ssh"), "127.0.0.1")
      socket.on("error", () => {}).resume()
      const over = new Promise((resolve) => socket.once("close", resolve))
      if (run % 2 === 0) socket.write("SSH-2.0-odd\r\n")
      socket.end(randomBytes(1 + Math.floor(Math.random() * 4000)))
      await over
    }
    await goesOn()
  })
})

const pick = <T>(list: readonly T[]): T => list[Math.floor(Math.random() * list.length)]!

/** Of a kind that exists or not, with fields that are often almost right. */
function oddMessage(): Buffer {
  const field = (): Buffer =>
    pick([
      () => pack(pick([0, 1, 2, 0x7fffffff, 0xffffffff])),
      () => pack(pick(words)),
      () => pack(pick([true, false])),
      () => randomBytes(1 + Math.floor(Math.random() * 64)),
    ])()
  const fields = Array.from({ length: Math.floor(Math.random() * 6) }, field)
  const kinds = [...Object.values(message), 2, 3, 5, 6, 20, 21, 30, 31, 50, 51, 60, 61, 192]
  return Buffer.concat([Buffer.of(pick(kinds)), ...fields])
}

/** Signs, and has gone before the answer. */
class LeavingAgent extends ssh2.BaseAgent<ssh2.ParsedKey> {
  readonly #key: ssh2.ParsedKey
  readonly #leave: () => void

  constructor(key: ssh2.ParsedKey, leave: () => void) {
    super()
    this.#key = key
    this.#leave = leave
  }

  override getIdentities(done: (failure: Error | undefined, keys?: ssh2.ParsedKey[]) => void): void {
    done(undefined, [this.#key])
  }

  override sign(_key: unknown, data: Buffer, options: unknown, done?: (failure?: Error, signature?: Buffer) => void): void {
    const answer = (done ?? options) as (failure?: Error, signature?: Buffer) => void
    answer(undefined, this.#key.sign(data))
    this.#leave()
  }
}
