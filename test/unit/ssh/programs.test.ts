// What a client may ask to run, where its bytes are none that a person types: the real gate and recorder, ssh2 on either side, in memory.
import assert from "node:assert/strict"
import type { Duplex } from "node:stream"
import { afterEach, suite, test } from "node:test"
import ssh2 from "ssh2"
import { ssh } from "../../../protocols/ssh/index.ts"
import { createHarness, type Harness } from "../../conformance/harness.ts"
import { hostKey, targetWith } from "./rig.ts"

const open: Harness[] = []
afterEach(() => open.splice(0).forEach((harness) => harness.close()))

async function rig() {
  const ran: string[] = []
  const harness = await createHarness({
    protocol: ssh,
    targets: [targetWith({ name: "shop" })],
    serveTarget: (socket: Duplex) => {
      const server = new ssh2.Server({ hostKeys: [hostKey.privateKey] }, (connection) => {
        connection.on("error", () => {})
        connection.on("authentication", (context) => context.accept())
        connection.on("session", (accept) =>
          accept().on("exec", (take, _reject, { command }) => {
            ran.push(command)
            const channel = take()
            channel.exit(0)
            channel.end()
          }),
        )
      })
      server.injectSocket(socket as never)
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
  return { ran, exec, refused }
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
})
