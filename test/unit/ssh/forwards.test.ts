// Forwards when one side does not behave: the real gate, sessions and recorder on a fake clock, ssh2's client and server on either
// side, in memory.
import assert from "node:assert/strict"
import type { Duplex } from "node:stream"
import { afterEach, suite, test } from "node:test"
import ssh2 from "ssh2"
import { ssh } from "../../../protocols/ssh/index.ts"
import { destinationPattern } from "../../../src/core/destination.ts"
import { limits } from "../../../src/core/limits.ts"
import { hold_ms } from "../../conformance/fake_holds.ts"
import { createHarness, type Harness } from "../../conformance/harness.ts"
import { eventually } from "../../support/wait.ts"
import { hostKey, targetWith } from "./rig.ts"
import { actionRule } from "../../support/action_rule.ts"

interface Rig {
  readonly harness: Harness
  readonly client: ssh2.Client
  /** The target's side of the connection. */
  readonly server: ssh2.Connection
  /** Where the target was asked to connect to. */
  readonly asked: string[]
  /** What it sent on such a connection. */
  readonly heard: string[]
  /** Kinds of channels that the client was offered. */
  readonly offered: string[]
  refused(): string[]
  /** From now on the target reads nothing. */
  deaf(): void
}

const open: Harness[] = []
afterEach(() => open.splice(0).forEach((harness) => harness.close()))

async function rig(
  changes: Parameters<Harness["grant"]>[1] = {},
  login?: Promise<void>,
): Promise<Rig & { readonly grant: ReturnType<Harness["grant"]> }> {
  const asked: string[] = []
  const heard: string[] = []
  const offered: string[] = []
  let isDeaf = false
  const connected = Promise.withResolvers<ssh2.Connection>()
  const served = Promise.withResolvers<ssh2.Connection>()
  const patterns = (...all: string[]) => all.map(destinationPattern)
  const allow = {
    shell: true,
    exec: true,
    local_forward: patterns("10.0.0.9:*"),
    remote_forward: patterns("localhost:*"),
    agent: true,
    env: [],
  }
  const harness = await createHarness({
    protocol: ssh,
    targets: [targetWith({ name: "shop", allow })],
    serveTarget: (socket: Duplex) => {
      const server = new ssh2.Server({ hostKeys: [hostKey.privateKey] }, (connection) => {
        connection.on("error", () => {})
        connected.resolve(connection)
        connection.on("authentication", (context) => void Promise.resolve(login).then(() => context.accept()))
        connection.on("ready", () => served.resolve(connection))
        connection.on("session", (accept) =>
          accept()
            .on("pty", (take) => take())
            .on("shell", (take) => take()),
        )
        connection.on("tcpip", (accept, _reject, { destIP, destPort }) => {
          asked.push(`${destIP}:${destPort}`)
          const channel = accept()
          channel.on("error", () => {})
          if (!isDeaf) channel.on("data", (chunk: Buffer) => heard.push(chunk.toString()))
        })
        connection.on("request", (accept, _reject, name, info) => {
          asked.push(name)
          accept?.("bindPort" in info && info.bindPort === 0 ? 4_000 + asked.length : undefined)
        })
      })
      server.injectSocket(socket as never)
    },
  })
  open.push(harness)
  const grant = harness.grant("shop", changes)
  const client = new ssh2.Client()
  client.on("error", () => {})
  client.on("tcp connection", (_details, accept) => {
    offered.push("forwarded-tcpip")
    accept()
  })
  const { client: socket } = harness.connect()
  client.connect({ sock: socket, username: "deploy@shop", privateKey: harness.alice.privateKey })
  await new Promise<void>((resolve, reject) => client.once("ready", resolve).once("error", reject))
  const refused = (): string[] => harness.recording(harness.lastSession()).flatMap((line) => (line.kind === "refused" ? [line.what] : []))
  const server = await (login ? connected : served).promise
  return { harness, client, server, asked, heard, offered, refused, grant, deaf: () => void (isDeaf = true) }
}

const holdForward = actionRule({
  about: {
    protocol: "ssh",
    exec: undefined,
    argv: undefined,
    shell: false,
    sftp: undefined,
    forward: "any",
    listen: undefined,
    agent: false,
  },
  within_ms: hold_ms,
})

/** Asks for a connection to there; the refusal's words, or the channel. */
const forward = (client: ssh2.Client, host = "10.0.0.9", port = 80): Promise<ssh2.ClientChannel | string> =>
  new Promise((resolve) => client.forwardOut("127.0.0.1", 1, host, port, (error, channel) => resolve(error ? error.message : channel)))

const listen = (client: ssh2.Client, host = "localhost", port = 0): Promise<number | string> =>
  new Promise((resolve) => client.forwardIn(host, port, (error, bound) => resolve(error ? error.message : bound)))

const fromTarget = (server: ssh2.Connection, port: number): Promise<boolean> =>
  new Promise((resolve) => server.forwardOut("localhost", port, "10.1.1.1", 5, (error) => resolve(!error)))

suite("ssh: forwards that nobody should get", () => {
  test("the target opens what nobody asked for: refused, on record, and the client never hears of it", async () => {
    const { server, offered, refused } = await rig()
    assert.equal(await fromTarget(server, 8080), false)
    const display = new Promise<boolean>((resolve) => server.x11("10.1.1.1", 5, (error) => resolve(!error)))
    assert.equal(await display, false)
    assert.deepEqual(refused(), ["the target's own channel forwarded-tcpip", "the target's own channel x11"])
    assert.deepEqual(offered, [])
  })

  test("what was asked for while the target was being logged in to is not asked of it after the cut", async () => {
    const login = Promise.withResolvers<void>()
    const { harness, client, server, asked, grant } = await rig({}, login.promise)
    const closed = new Promise<void>((resolve) => server.once("close", () => resolve()))
    const answers = [forward(client), listen(client)]
    client.exec("true", (_error, channel) => void channel?.resume())
    server.on("session", () => asked.push("session"))
    await eventually("the forward on record", () => harness.recording(harness.lastSession()).some(({ kind }) => kind === "action"))
    harness.change(grant, { status: "revoked" })
    login.resolve()
    await Promise.all([...answers, closed])
    assert.deepEqual(asked, [])
  })

  test("a target that asks thousands of times in one second fills no recording", async () => {
    const { server, refused } = await rig()
    for (let run = 0; run < 2_000; run += 20) await Promise.all(Array.from({ length: 20 }, () => fromTarget(server, 8080)))
    assert.equal(refused().length, limits.ssh_forwards_per_second_max + 1)
  })

  test("a target that takes nothing, and a client that leaves its data there and comes again: so many channels, and no more", async () => {
    const { client, harness, asked, deaf } = await rig()
    deaf()
    const data = Buffer.alloc(2 * limits.ssh_window_bytes) // more than it takes without reading
    const answers: string[] = []
    for (let run = 0; run < limits.ssh_channels_max + 2; run++) {
      const channel = await forward(client)
      harness.clock.advance(1_000)
      if (typeof channel === "string") {
        answers.push(channel)
        continue
      }
      channel.on("error", () => {}).resume()
      await new Promise<void>((resolve) => channel.write(data, () => resolve()))
      channel.end()
      channel.close()
      await new Promise((resolve) => channel.once("close", resolve))
    }
    assert.equal(asked.length, limits.ssh_channels_max)
    assert.match(answers.join(), /too many at once/)
  })

  test("the target may connect by the port it was asked for, by no other, and not after it was given up", async () => {
    const { client, server, offered, refused } = await rig()
    const port = await listen(client)
    assert.ok(typeof port === "number" && port > 4_000)
    assert.equal(await fromTarget(server, port), true)
    assert.equal(await fromTarget(server, port + 1), false)
    await new Promise<void>((resolve, reject) => client.unforwardIn("localhost", port, (error) => (error ? reject(error) : resolve())))
    assert.equal(await fromTarget(server, port), false)
    assert.deepEqual(offered, ["forwarded-tcpip"])
    assert.equal(refused().length, 2)
  })

  test("requests to listen are answered in their order, whatever each takes", async () => {
    const { client, asked } = await rig()
    const answers: (number | string)[] = []
    const all = ["localhost", "10.0.0.1", "localhost", "0.0.0.0"].map(async (host, at) =>
      answers.push(`${at} ${await listen(client, host)}`),
    )
    await Promise.all(all)
    assert.deepEqual(
      answers.map((answer) => String(answer).slice(0, 3)),
      ["0 4", "1 U", "2 4", "3 U"], // "Unable to bind"
    )
    assert.deepEqual(asked, ["tcpip-forward", "tcpip-forward"])
  })

  test("there are so many remote forwards and no more", async () => {
    const { client, asked, refused } = await rig()
    const answers = await Promise.all(Array.from({ length: limits.ssh_listens_max + 3 }, () => listen(client)))
    assert.equal(answers.filter((answer) => typeof answer === "number").length, limits.ssh_listens_max)
    assert.equal(asked.length, limits.ssh_listens_max)
    assert.deepEqual(new Set(refused()), new Set(["so many remote forwards at once"]))
  })

  test("thousands of opens in one second: so many reach the target, one line says so, and later ones pass again", async () => {
    const { client, asked, refused, harness } = await rig()
    let [passed, refusals] = [0, 0]
    for (let run = 0; run < 2_000; run += 20) {
      const some = await Promise.all(Array.from({ length: 20 }, () => forward(client)))
      for (const one of some) {
        if (typeof one === "string") refusals++
        else {
          passed++
          one.destroy()
        }
      }
    }
    assert.equal(passed, limits.ssh_forwards_per_second_max)
    assert.equal(refusals, 2_000 - passed)
    assert.equal(asked.length, passed)
    assert.deepEqual(refused(), ["more forwards in one second than are taken"])
    harness.clock.advance(1_000)
    assert.notEqual(typeof (await forward(client)), "string")
  })

  test("while it is held the target hears nothing; decided, it passes", async () => {
    const { client, asked, harness } = await rig({ uses_left: 2 })
    const taken = Promise.withResolvers<void>()
    harness.service.onUse = () => {
      assert.deepEqual(asked, [])
      taken.resolve()
    }
    const opened = forward(client)
    await taken.promise
    assert.notEqual(typeof (await opened), "string")
    assert.deepEqual(asked, ["10.0.0.9:80"])
  })

  test("what waits is told where ssh -v shows it, and kept for the terminal that begins meanwhile, as long as it waits", async () => {
    const { client, harness } = await rig()
    harness.policy.actions = [holdForward]
    const aside: string[] = []
    const { _protocol } = client as unknown as { _protocol: { _handlers: { DEBUG: (p: unknown, shown: boolean, words: string) => void } } }
    _protocol._handlers.DEBUG = (_protocol, _shown, words) => void aside.push(words)
    const terminal = async (): Promise<() => string> => {
      const channel = await new Promise<ssh2.ClientChannel>((resolve, reject) =>
        client.shell((failure, opened) => (failure ? reject(failure) : resolve(opened))),
      )
      let shown = ""
      channel.on("error", () => {}).resume()
      channel.stderr.on("data", (chunk: Buffer) => (shown += chunk.toString()))
      return () => shown
    }
    const held = (port: number): Promise<ssh2.ClientChannel | string> => forward(client, "10.0.0.9", port)
    const over = held(1)
    await eventually("the words aside", () => aside.length === 1)
    assert.match(aside[0]!, /^sluice: held: request 57 /)
    harness.holds.asked[0]!.deny("no")
    const refused = await over
    assert.ok(typeof refused === "string" && refused.includes("request 57 was denied"))
    void held(2)
    await eventually("the words aside", () => aside.length === 2)
    const first = await terminal()
    await eventually("the words that wait", () => first().includes("request 58 "))
    assert.doesNotMatch(first(), /request 57 /, "that is decided")
    void held(3)
    await eventually("the next words", () => first().includes("request 59 "))
    const second = await terminal()
    void held(4)
    await eventually("the last words", () => second().includes("request 60 "))
    assert.doesNotMatch(second(), /request 5[789] /, "once is enough")
    assert.equal(aside.length, 2, "where a terminal shows it, nothing is said aside")
  })

  test("a cut while it is held: the target never hears of it", async () => {
    const { client, asked, harness, grant } = await rig({ uses_left: 2 })
    const closed = new Promise<void>((resolve) => client.once("close", () => resolve()))
    harness.service.onUse = () => void harness.change(grant, { status: "revoked" })
    void forward(client)
    await closed
    await eventually("the end", () => harness.recording(harness.lastSession()).at(-1)?.kind === "end")
    assert.deepEqual(asked, [])
  })

  test("after the cut not a byte passes, and nothing opens", async () => {
    const { client, server, asked, heard, harness, grant, offered } = await rig()
    const port = await listen(client)
    const channel = await forward(client)
    assert.ok(typeof channel !== "string" && typeof port === "number")
    channel.on("error", () => {})
    channel.write("before")
    await eventually("the first bytes", () => heard.length === 1)
    const closed = new Promise<void>((resolve) => client.once("close", () => resolve()))
    harness.change(grant, { status: "revoked" })
    channel.write("AFTER")
    void forward(client)
    void fromTarget(server, port)
    await closed
    await eventually("the end", () => harness.recording(harness.lastSession()).at(-1)?.kind === "end")
    assert.deepEqual([heard, asked.filter((one) => one.includes(":")), offered], [["before"], ["10.0.0.9:80"], []])
    const outcomes = harness.recording(harness.lastSession()).flatMap((line) => (line.kind === "outcome" ? [line.status] : []))
    assert.deepEqual(outcomes, ["cut", "cut"])
  })

  test("a forward that cannot be recorded does not happen, and ends the session", async () => {
    const { client, asked, harness } = await rig()
    const closed = new Promise<void>((resolve) => client.once("close", () => resolve()))
    harness.breakRecordings()
    void forward(client)
    await closed
    assert.deepEqual(asked, [])
  })
})
