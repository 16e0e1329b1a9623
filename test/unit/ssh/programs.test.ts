// What a client may ask to run, where its bytes are none that a person types: the real gate and recorder, ssh2 on either side, in memory.
import assert from "node:assert/strict"
import type { Duplex } from "node:stream"
import { afterEach, suite, test } from "node:test"
import ssh2 from "ssh2"
import { ssh } from "../../../protocols/ssh/index.ts"
import { limits } from "../../../src/core/limits.ts"
import { createHarness, type Harness } from "../../conformance/harness.ts"
import { eventually } from "../../support/wait.ts"
import { hostKey, targetWith } from "./rig.ts"

const open: Harness[] = []
afterEach(() => open.splice(0).forEach((harness) => harness.close()))

async function rig() {
  const ran: string[] = []
  const target = Promise.withResolvers<Duplex>()
  const harness = await createHarness({
    protocol: ssh,
    targets: [targetWith({ name: "shop" })],
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
  const exec = (command: string): Promise<{ readonly status: unknown; readonly words: string }> =>
    new Promise((resolve, reject) =>
      client.exec(command, (failure, channel) => {
        if (failure) return reject(failure)
        let words = ""
        let status: unknown
        channel.stderr.on("data", (chunk: Buffer) => (words += chunk.toString()))
        channel.resume().once("exit", (code: unknown) => (status = code))
        channel.once("close", () => resolve({ status, words }))
      }),
    )
  const refused = (): string[] => harness.recording(harness.lastSession()).flatMap((line) => (line.kind === "refused" ? [line.what] : []))
  return { ran, exec, refused, client, harness, target: await target.promise }
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
