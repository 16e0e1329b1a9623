// Keys that are renewed at a bad moment, begun by either side: while a command waits for somebody, while somebody is asked for access, and
// when a cut comes in the middle. The real gate, sessions and recorder on a fake clock, ssh2's client and server on either side.
import assert from "node:assert/strict"
import type { Duplex } from "node:stream"
import { afterEach, suite, test } from "node:test"
import ssh2 from "ssh2"
import { ssh } from "../../../protocols/ssh/index.ts"
import type { Ssh2Connection } from "../../../protocols/ssh/transport.ts"
import type { ActionRule } from "../../../src/core/action_rules.ts"
import { hold_ms } from "../../conformance/fake_holds.ts"
import { createHarness, type Harness } from "../../conformance/harness.ts"
import { eventually } from "../../support/wait.ts"
import { hostKey, slowLine, targetWith } from "./rig.ts"
import { actionRule } from "../../support/action_rule.ts"

interface Rig {
  readonly harness: Harness
  readonly grant: ReturnType<Harness["grant"]>
  readonly client: ssh2.Client
  /** The target's side of the connection. */
  readonly server: ssh2.Connection
  /** The line between the client and the gateway; what is kept waiting is what the gateway says. */
  readonly clientLine: ReturnType<typeof slowLine>
  /** The line between the target and the gateway; what is kept waiting is what the target says. */
  readonly targetLine: { wait(): void; go(): void }
  /** How many channels for programs the target was asked for. */
  sessions(): number
  /** Commands that ran on the target, and their program's side. */
  readonly runs: { readonly command: string; readonly channel: ssh2.ServerChannel; got: string }[]
}

const open: Harness[] = []
afterEach(() => open.splice(0).forEach((harness) => harness.close()))

const holds = actionRule({ within_ms: hold_ms })

async function rig(rules: readonly ActionRule[] = []): Promise<Rig> {
  let sessions = 0
  const onSession = (session: ssh2.Session): ssh2.Session => (sessions++, session)
  const runs: Rig["runs"] = []
  const connected = Promise.withResolvers<ssh2.Connection>()
  let targetLine: Rig["targetLine"] | undefined
  const harness = await createHarness({
    protocol: ssh,
    targets: [targetWith({ name: "shop" })],
    serveTarget: (socket: Duplex) => {
      const server = new ssh2.Server({ hostKeys: [hostKey.privateKey] }, (connection) => {
        connection.on("error", () => {})
        connection.on("authentication", (context) => context.accept())
        connection.on("ready", () => connected.resolve(connection))
        connection.on("session", (accept) =>
          onSession(accept()).on("exec", (take, _reject, { command }) => {
            const channel = take()
            channel.on("error", () => {})
            const run = { command, channel, got: "" }
            channel.on("data", (chunk: Buffer) => (run.got += chunk.toString()))
            runs.push(run)
          }),
        )
      })
      // The same line the other way around: the far end is the gateway's, and what the near one says can wait.
      const line = slowLine(socket)
      const near = line.client
      let [held, waiting]: [Buffer[], boolean] = [[], false]
      const write = near.write.bind(near) as (chunk: Buffer, ...more: unknown[]) => boolean
      near.write = ((chunk: Buffer, ...more: unknown[]) => (waiting ? held.push(chunk) > 0 : write(chunk, ...more))) as never
      targetLine = {
        wait: () => void (waiting = true),
        go() {
          waiting = false
          if (held.length > 0) write(Buffer.concat(held.splice(0)))
        },
      }
      server.injectSocket(near as never)
    },
  })
  open.push(harness)
  harness.policy.actions = rules
  const grant = harness.grant("shop")
  const client = new ssh2.Client()
  client.on("error", () => {})
  const { client: socket } = harness.connect()
  const clientLine = slowLine(socket)
  client.connect({ sock: clientLine.client, username: "deploy@shop", privateKey: harness.alice.privateKey })
  await new Promise<void>((resolve, reject) => client.once("ready", resolve).once("error", reject))
  const server = await connected.promise
  return { harness, grant, client, server, clientLine, targetLine: targetLine!, runs, sessions: () => sessions }
}

/** Begins an exchange; settles when its keys are in use there. */
function renew(connection: ssh2.Client | ssh2.Connection): Promise<void> {
  const protocol = (connection as unknown as Ssh2Connection)._protocol!
  const complete = protocol._onHandshakeComplete
  return new Promise((resolve) => {
    protocol._onHandshakeComplete = (negotiated) => {
      protocol._onHandshakeComplete = complete
      complete(negotiated)
      resolve()
    }
    protocol.rekey()
  })
}

const exec = (client: ssh2.Client, command: string): Promise<ssh2.ClientChannel> =>
  new Promise((resolve, reject) => client.exec(command, (error, channel) => (error ? reject(error) : resolve(channel))))

const onRecord = ({ harness }: Rig, stream: string): string =>
  harness
    .recording(harness.lastSession())
    .flatMap((line) => (line.kind === "data" && line.stream === stream && "text" in line ? [line.text] : []))
    .join("")

const revoke = ({ harness, grant }: Rig): void => void harness.change(grant, { status: "revoked" })

suite("ssh: new keys at a bad moment", () => {
  test("while a command waits for somebody, on both connections: approved, it runs once, and gets its input", async () => {
    const one = await rig([holds])
    const { client, server, runs, harness } = one
    const channel = await exec(client, "count")
    const input = "x".repeat(100_000)
    channel.write(input)
    await eventually("somebody to be asked", () => harness.holds.asked.length === 1)
    for (let turn = 0; turn < 3; turn++) {
      await renew(client)
      await renew(server)
    }
    assert.equal(runs.length, 0)
    harness.holds.asked[0]!.approve()
    await eventually("the command to run", () => runs.length === 1)
    await Promise.all([renew(client), renew(server)])
    channel.end("y")
    await eventually("its input to arrive", () => runs[0]!.got === `${input}y`)
    const closed = new Promise((resolve) => channel.once("close", resolve))
    let said = ""
    channel.on("data", (chunk: Buffer) => (said += chunk.toString()))
    runs[0]!.channel.write("done")
    runs[0]!.channel.exit(0)
    runs[0]!.channel.end()
    await closed
    assert.equal(said, "done")
    assert.equal(runs.length, 1)
  })

  test("a command that is approved while new keys are agreed on with the target, and a cut before they are: it never runs", async () => {
    const one = await rig([holds])
    const { client, server, runs, harness, targetLine } = one
    await exec(client, "never")
    await eventually("somebody to be asked", () => harness.holds.asked.length === 1)
    void renew(server)
    targetLine.wait()
    harness.holds.asked[0]!.approve()
    await eventually("it to be on record", () =>
      harness.recording(harness.lastSession()).some((line) => line.kind === "action" && line.verdict === "allow"),
    )
    revoke(one)
    targetLine.go()
    await eventually("the target's side to be closed", () => harness.recording(harness.lastSession()).at(-1)?.kind === "end")
    assert.deepEqual(runs, [])
  })

  test("a command that waits for nothing but new keys with the target, and a cut before they are: it never runs", async () => {
    const one = await rig()
    const { client, server, runs, harness, targetLine, sessions } = one
    targetLine.wait()
    const running = exec(client, "never")
    await eventually("the target to be asked for a channel", () => sessions() === 1)
    void renew(server)
    targetLine.go() // the channel is there, and in the same breath keys are to be renewed
    targetLine.wait()
    await running
    await eventually("it to be on record", () =>
      harness.recording(harness.lastSession()).some((line) => line.kind === "action" && line.verdict === "allow"),
    )
    for (let turn = 0; turn < 20; turn++) await new Promise(setImmediate)
    revoke(one)
    targetLine.go()
    await eventually("the target's side to be closed", () => harness.recording(harness.lastSession()).at(-1)?.kind === "end")
    assert.equal(runs.length, 0)
  })

  test("a cut while new keys are agreed on with the target: what waited for them never reaches it", async () => {
    const one = await rig()
    const { client, server, runs, harness, targetLine } = one
    const channel = await exec(client, "cat")
    await eventually("the command to run", () => runs.length === 1)
    channel.write("before")
    await eventually("the first input", () => runs[0]!.got === "before")
    const over = new Promise<void>((resolve) => void server.once("close", () => resolve()))
    // The gateway is told that there will be new keys, and then hears no more.
    void renew(server)
    targetLine.wait()
    channel.write("too late")
    await eventually("the input to be on record", () => onRecord(one, "stdin") === "beforetoo late")
    revoke(one)
    targetLine.go()
    await over
    assert.equal(runs[0]!.got, "before")
    assert.equal(
      harness.recording(harness.lastSession()).some((line) => line.kind === "cut"),
      true,
    )
  })

  test("a cut while new keys are agreed on with the client: what waited for them never reaches it", async () => {
    const one = await rig()
    const { client, runs, clientLine } = one
    const channel = await exec(client, "cat")
    let got = ""
    channel.on("data", (chunk: Buffer) => (got += chunk.toString()))
    await eventually("the command to run", () => runs.length === 1)
    runs[0]!.channel.write("before")
    await eventually("the first output", () => got === "before")
    const over = new Promise<void>((resolve) => void client.once("close", () => resolve()))
    clientLine.wait()
    void renew(client)
    for (let turn = 0; turn < 20; turn++) await new Promise(setImmediate)
    runs[0]!.channel.write("too late")
    await eventually("the output to be on record", () => onRecord(one, "stdout") === "beforetoo late")
    revoke(one)
    clientLine.go()
    await over
    assert.equal(got, "before")
  })
})
