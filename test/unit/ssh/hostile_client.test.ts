// A client that says what it likes in any order, while people approve, deny and cut: the real gate and recorder, ssh2's server as the
// target, in memory. Whatever comes of it, the target was asked for nothing that is not on record as allowed, and the process goes on.
import assert from "node:assert/strict"
import type { Duplex } from "node:stream"
import { afterEach, suite, test } from "node:test"
import ssh2 from "ssh2"
import { type Field, message, pack } from "../../../protocols/ssh/codec.ts"
import { ssh } from "../../../protocols/ssh/index.ts"
import { keyLife } from "../../../protocols/ssh/key_renewal.ts"
import { sftpPacket, sftpType } from "../../../protocols/ssh/sftp_packet.ts"
import { type Ssh2Connection, Transport } from "../../../protocols/ssh/transport.ts"
import { systemClock } from "../../../src/core/clock.ts"
import { destinationPattern } from "../../../src/core/destination.ts"
import { hold_ms } from "../../conformance/fake_holds.ts"
import { createHarness, type Harness } from "../../conformance/harness.ts"
import { Random } from "../../support/random.ts"
import { eventually } from "../../support/wait.ts"
import { hostKey, targetWith } from "./rig.ts"
import { actionRule } from "../../support/action_rule.ts"

const open: Harness[] = []
afterEach(() => open.splice(0).forEach((harness) => harness.close()))

const holds = actionRule({ within_ms: hold_ms })

/** `asked`: what the target was asked to do, in the words of `done`. */
async function rig(asked: string[]): Promise<Harness> {
  const anywhere = [destinationPattern("*:*")]
  const allow = { shell: true, exec: true, local_forward: anywhere, remote_forward: anywhere, agent: true, env: ["LANG"] }
  const harness = await createHarness({
    protocol: ssh,
    targets: [targetWith({ name: "shop", allow })],
    serveTarget: (socket: Duplex) => {
      const server = new ssh2.Server({ hostKeys: [hostKey.privateKey] }, (connection) => {
        connection.on("error", () => {})
        connection.on("authentication", (context) => context.accept())
        connection.on("tcpip", (accept, _reject, { destIP, destPort }) => {
          asked.push(`forward local ${destIP}:${destPort}`)
          accept()
            .on("error", () => {})
            .resume()
        })
        connection.on("request", (accept, _reject, name, info) => {
          if (name === "tcpip-forward" && "bindPort" in info) asked.push(`forward remote ${info.bindAddr}:${info.bindPort}`)
          accept?.(4_000)
        })
        connection.on("session", (accept) =>
          accept()
            .on("pty", (take) => take?.())
            .on(
              "shell",
              (take) => (
                asked.push("shell"),
                take()
                  .on("error", () => {})
                  .resume()
              ),
            )
            .on("sftp", (take) => {
              asked.push("sftp")
              take()
                .on("error", () => {})
                .on("REMOVE", (_id, path) => asked.push(`remove ${path}`))
            })
            .on("exec", (take, _reject, { command }) => {
              asked.push(`exec ${command}`)
              const channel = take()
              channel.on("error", () => {}).write("output")
              channel.exit(0)
              channel.end()
            }),
        )
      })
      server.injectSocket(socket as never)
    },
  })
  open.push(harness)
  return harness
}

/** What is on record as allowed. */
function allowed(harness: Harness): string[] {
  return harness.recording(harness.lastSession()).flatMap((line) => {
    if (line.kind !== "action" || line.verdict !== "allow") return []
    const { action } = line
    switch (action.kind) {
      case "ssh.exec":
        return [`exec ${action.command}`]
      case "ssh.shell":
        return ["shell"]
      case "ssh.sftp":
        return ["sftp"]
      case "ssh.file":
        return typeof action.path === "string" ? [`${action.op} ${action.path}`] : []
      case "ssh.forward":
        return "host" in action ? [`forward ${action.direction} ${action.host}:${action.port}`] : []
      case "ssh.agent":
      case "tcp.connect":
      case "postgres.statement":
      case "http.request":
        return []
    }
  })
}

suite("ssh: a client that says what it likes", () => {
  test("by chance: what the target was asked is on record as allowed, once for each time, and after a cut it is asked nothing", async () => {
    const asked: string[] = []
    const harness = await rig(asked)
    let [ran, held] = [0, 0]
    for (let seed = 0; seed < 12; seed++) {
      const random = new Random(seed)
      asked.length = 0
      harness.policy.actions = random.chance(0.5) ? [holds] : []
      const grant = harness.grant("shop", random.chance(0.2) ? { uses_left: 3 } : {})
      const client = new ssh2.Client()
      client.on("error", () => {})
      const closed = new Promise<void>((resolve) => client.once("close", () => resolve()))
      client.connect({ sock: harness.connect().client, username: "deploy@shop", privateKey: harness.alice.privateKey })
      await new Promise<void>((resolve, reject) => client.once("ready", resolve).once("error", reject))
      const transport = new Transport(client as unknown as Ssh2Connection, systemClock(), keyLife)
      const send = (kind: number, ...fields: readonly Field[]): void => transport.send(Buffer.concat([Buffer.of(kind), pack(...fields)]))
      const ended = new Set<number>()
      for (let channel = 0; channel < channels; channel++) send(message.channel_open, "session", channel, 1 << 20, 1 << 15)
      const cut_at = random.chance(0.5) ? random.below(40) : -1
      for (let turn = 0; turn < 40; turn++) {
        oneOf(random, send, ended)
        while (random.chance(0.7)) await new Promise(setImmediate)
        const hold = harness.holds.asked.at(-1 - random.below(3))
        if (random.chance(0.25)) hold?.approve()
        else if (random.chance(0.1)) hold?.deny("no")
        if (turn !== cut_at) continue
        harness.change(grant, { status: "revoked" })
        const before = asked.length
        for (let more = 0; more < 5; more++) oneOf(random, send, ended)
        for (let more = 0; more < 20; more++) await new Promise(setImmediate)
        client.destroy() // the library does not say that it has read the last words
        await closed
        await eventually(`seed ${seed}: the end`, () => harness.recording(harness.lastSession()).at(-1)?.kind === "end")
        assert.equal(asked.length, before, `seed ${seed}: asked after the cut`)
        break
      }
      for (let turn = 0; turn < 20; turn++) await new Promise(setImmediate)
      client.end()
      await closed
      await eventually(`seed ${seed}: the end`, () => harness.recording(harness.lastSession()).at(-1)?.kind === "end")
      harness.change(grant, { status: "revoked" })
      const on_record = allowed(harness)
      for (const one of asked) {
        const at = on_record.indexOf(one)
        assert.ok(at >= 0, `seed ${seed}: not on record: ${one}`)
        on_record.splice(at, 1)
      }
      ran += asked.length
      held = harness.holds.asked.length
    }
    assert.ok(ran > 10 && held > 10, `${ran} ran, ${held} were held`)
  })
})

const channels = 6
const names = ["true", "reboot", "x y"]

/** One message of a client's, in its place or not. */
function oneOf(random: Random, send: (kind: number, ...fields: readonly Field[]) => void, ended: Set<number>): void {
  const channel = random.below(channels)
  const wanted = random.chance(0.5)
  const request = (type: string, ...fields: readonly Field[]): void => send(message.channel_request, channel, type, wanted, ...fields)
  // Data behind an end would close the connection, and that is another test's.
  const data = (bytes: Field): void => (ended.has(channel) ? undefined : send(message.channel_data, channel, bytes))
  const path = `/${random.pick(names)}`
  const messages = [
    () => send(message.channel_open, "session", random.below(9), 1 << 20, 1 << 15),
    () => send(message.channel_open, "session", random.below(9), 1 << 20, 1 << 15),
    () => send(message.channel_open, "direct-tcpip", random.below(9), 1 << 20, 1 << 15, "10.0.0.9", 1 + random.below(3), "127.0.0.1", 1),
    () => request("exec", random.pick(names)),
    () => request("exec", random.pick(names)),
    () => request("shell"),
    () => request("subsystem", random.pick(["sftp", "sftp", "other"])),
    () => request("pty-req", "xterm", 80, 24, 0, 0, ""),
    () => request("env", "LANG", "C"),
    () => request("window-change", 80, 24, 0, 0),
    () => request("signal", random.pick(["INT", "KILL"])),
    () => request("auth-agent-req@openssh.com"),
    () => data(sftpPacket(sftpType.init, 3)),
    () => data(sftpPacket(sftpType.remove, random.below(99), path)),
    () => data("typed"),
    () => send(message.channel_window_adjust, channel, 1_000),
    () => send(message.channel_eof, (ended.add(channel), channel)),
    () => send(message.channel_close, channel),
    () => send(message.global_request, "tcpip-forward", wanted, "localhost", random.below(2) * 8_080),
    () => send(message.global_request, "cancel-tcpip-forward", wanted, "localhost", 8_080),
    () => send(message.global_request, "keepalive@openssh.com", wanted),
  ]
  random.pick(messages)()
}
