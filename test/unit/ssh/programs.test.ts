// What a client may ask to run, where its bytes are none that a person types: the real gate and recorder, ssh2 on either side, in memory.
import assert from "node:assert/strict"
import type { Duplex } from "node:stream"
import { afterEach, suite, test } from "node:test"
import ssh2 from "ssh2"
import { type Field, message, pack } from "../../../protocols/ssh/codec.ts"
import { ssh } from "../../../protocols/ssh/index.ts"
import { keyLife } from "../../../protocols/ssh/key_renewal.ts"
import { type Ssh2Connection, Transport } from "../../../protocols/ssh/transport.ts"
import { systemClock } from "../../../src/core/clock.ts"
import { limits } from "../../../src/core/limits.ts"
import { hold_ms } from "../../conformance/fake_holds.ts"
import { createHarness, type Harness } from "../../conformance/harness.ts"
import { eventually } from "../../support/wait.ts"
import { hostKey, targetWith } from "./rig.ts"
import { actionRule } from "../../support/action_rule.ts"

/** Whatever is done. */
const holds = actionRule({ within_ms: hold_ms })

const open: Harness[] = []
afterEach(() => open.splice(0).forEach((harness) => harness.close()))

async function rig() {
  const ran: string[] = []
  const target = Promise.withResolvers<Duplex>()
  const harness = await createHarness({
    protocol: ssh,
    targets: [targetWith({ name: "shop", allow: { ...targetWith().allow, agent: true } })],
    serveTarget: (socket: Duplex) => {
      const server = new ssh2.Server({ hostKeys: [hostKey.privateKey] }, (connection) => {
        connection.on("error", () => {})
        connection.on("authentication", (context) => context.accept())
        connection.on("session", (accept) =>
          accept()
            .on("pty", (take) => take())
            .on("shell", (take) => {
              ran.push("a shell")
              take()
            })
            .on("exec", (take, _reject, { command }) => {
              ran.push(command)
              const channel = take()
              channel.exit(0)
              channel.end()
            }),
        )
      })
      server.injectSocket(socket as never)
      target.resolve(socket)
    },
  })
  open.push(harness)
  harness.grant("shop")
  const client = new ssh2.Client()
  client.on("error", () => {})
  client.connect({ sock: harness.connect().client, username: "deploy@shop", privateKey: harness.alice.privateKey })
  await new Promise<void>((resolve, reject) => client.once("ready", resolve).once("error", reject))
  const exec = (command: string): Promise<Ended> => ended((done) => client.exec(command, done))
  const refused = (): string[] => harness.recording(harness.lastSession()).flatMap((line) => (line.kind === "refused" ? [line.what] : []))
  return { ran, exec, refused, client, harness, target: await target.promise }
}

interface Ended {
  readonly status: unknown
  readonly words: string
}

/** Starts a program, and waits for its end. */
const ended = (start: (done: (failure: Error | undefined, channel: ssh2.ClientChannel) => void) => void): Promise<Ended> =>
  new Promise((resolve, reject) =>
    start((failure, channel) => {
      if (failure) return reject(failure)
      let words = ""
      let status: unknown
      channel.stderr.on("data", (chunk: Buffer) => (words += chunk.toString()))
      channel.resume().once("exit", (code: unknown) => (status = code))
      channel.once("close", () => resolve({ status, words }))
    }),
  )

/** Sends messages of the connection layer behind the library's back. */
function raw(client: ssh2.Client): (kind: number, ...fields: readonly Field[]) => void {
  const transport = new Transport(client as unknown as Ssh2Connection, systemClock(), keyLife)
  return (kind, ...fields) => transport.send(Buffer.concat([Buffer.of(kind), pack(...fields)]))
}

suite("ssh: programs that nobody types", () => {
  test("a command with a NUL in it, which an sshd would read as a shorter one, does not reach the target", async () => {
    const { ran, exec, refused } = await rig()
    for (const command of ["reboot\0", "true\0; reboot"]) {
      const { status, words } = await exec(command)
      assert.equal(status, 1)
      assert.match(words, /a command with a NUL in it is not allowed/)
    }
    assert.deepEqual([ran, refused()], [[], ["a command with a NUL in it", "a command with a NUL in it"]])
    assert.equal((await exec("true")).status, 0)
    assert.deepEqual(ran, ["true"])
  })

  test("what the target refuses to start is said to be that, and the connection stays", async () => {
    const { exec, client } = await rig()
    const { status, words } = await ended((done) => client.subsys("sftp", done))
    assert.equal(status, 255)
    assert.match(words, /^sluice: the target refused to start that program/)
    assert.equal((await exec("true")).status, 0)
  })

  test("a command that waits for somebody when its target goes: it is taken back, and its user told why", async () => {
    const { ran, exec, client, harness, target } = await rig()
    assert.equal((await exec("true")).status, 0)
    harness.policy.actions = [holds]
    // Beside it a channel on which nothing was ever started.
    raw(client)(message.channel_open, "session", 7, 1 << 20, 1 << 15)
    const closed = new Promise<void>((resolve) => client.once("close", () => resolve()))
    const ended = exec("reboot")
    await eventually("somebody to be asked", () => harness.holds.asked.length === 1)
    target.destroy()
    const { status, words } = await ended
    assert.equal(status, 255)
    assert.match(words, /the target closed or broke the connection/)
    assert.ok(harness.holds.asked[0]?.withdrawn)
    await closed
    assert.deepEqual(ran, ["true"])
  })

  test("the use of an agent that waits for somebody when its channel is closed: it is taken back, and the connection goes on", async () => {
    const { client, harness, exec } = await rig()
    harness.policy.actions = [holds]
    const send = raw(client)
    send(message.channel_open, "session", 7, 1 << 20, 1 << 15)
    send(message.channel_request, 0, "auth-agent-req@openssh.com", false)
    send(message.channel_request, 0, "exec", false, "true")
    await eventually("somebody to be asked", () => harness.holds.asked.length === 2)
    send(message.channel_close, 0)
    await eventually("both to be taken back", () => harness.holds.asked.every((hold) => hold.withdrawn))
    harness.policy.actions = []
    assert.equal((await exec("true")).status, 0)
  })

  test("a target that reads no more and a client that tells it of one window size after the other: it is given up in time", async () => {
    const { client, target, harness, ran } = await rig()
    const shell = await new Promise<ssh2.ClientChannel>((resolve, reject) =>
      client.shell((failure, channel) => (failure ? reject(failure) : resolve(channel))),
    )
    shell.on("error", () => {})
    const closed = new Promise<void>((resolve) => client.once("close", () => resolve()))
    await eventually("the shell", () => ran.length > 0)
    target.pause()
    let told = 0
    const tell = (): void => {
      for (let burst = 0; burst < 500; burst++) shell.setWindow(24, 80 + (told++ % 100), 0, 0)
      if (told < (4 * limits.ssh_untaken_bytes_max) / 128) setImmediate(tell)
    }
    tell()
    await closed
    await eventually("the end", () => harness.recording(harness.lastSession()).at(-1)?.kind === "end")
  })
})
