import assert from "node:assert/strict"
import { suite, test } from "node:test"
import ssh2 from "ssh2"
import { message } from "../../../protocols/ssh/codec.ts"
import { KeepAlive } from "../../../protocols/ssh/keep_alive.ts"
import { keyLife } from "../../../protocols/ssh/key_renewal.ts"
import { type Ssh2Connection, Transport } from "../../../protocols/ssh/transport.ts"
import { limits } from "../../../src/core/limits.ts"
import { FakeClock } from "../../support/fake_clock.ts"
import { eventually } from "../../support/wait.ts"
import { serve, ssh2Client, userKey } from "./rig.ts"

const interval_ms = limits.ssh_keepalive_ms
const turn = (): Promise<void> => new Promise(setImmediate)

interface Watched {
  readonly clock: FakeClock
  readonly watch: KeepAlive
  asked(): number
  readonly silent: number[]
  /** That many intervals pass, with time to read in between. */
  pass(intervals: number): Promise<void>
}

function watched(): Watched {
  const clock = new FakeClock()
  let asked = 0
  const silent: number[] = []
  const watch = new KeepAlive({ clock, interval_ms, ask: () => asked++, onSilent: (for_ms) => void silent.push(for_ms) })
  return {
    clock,
    watch,
    asked: () => asked,
    silent,
    async pass(intervals) {
      for (let count = 0; count < intervals; count++) {
        clock.advance(interval_ms)
        await turn()
      }
    },
  }
}

suite("ssh: whether the other side is there", () => {
  test("who is silent is asked, as often as is allowed, and then given up, once", async () => {
    const { pass, asked, silent } = watched()
    await pass(limits.ssh_keepalives_max)
    assert.deepEqual([asked(), silent], [limits.ssh_keepalives_max, []])
    await pass(1)
    assert.deepEqual(silent, [(limits.ssh_keepalives_max + 1) * interval_ms])
    await pass(10)
    assert.deepEqual([asked(), silent.length], [limits.ssh_keepalives_max, 1])
  })

  test("who talks is never asked, and one sign of life begins the count anew", async () => {
    const { watch, pass, asked, silent } = watched()
    for (let count = 0; count < 10; count++) {
      watch.heard()
      await pass(1)
    }
    assert.equal(asked(), 0)
    await pass(limits.ssh_keepalives_max)
    watch.heard()
    await pass(1 + limits.ssh_keepalives_max)
    assert.deepEqual(silent, [])
    await pass(1)
    assert.equal(silent.length, 1)
  })

  test("a gateway that slept for hours asks once, and reads what has come before it counts on", async () => {
    const { clock, watch, pass, asked, silent } = watched()
    clock.advance(1000 * interval_ms)
    assert.equal(asked(), 1)
    watch.heard()
    await turn()
    await pass(1 + limits.ssh_keepalives_max)
    assert.deepEqual(silent, [])
  })

  test("one that was stopped asks nobody", async () => {
    const { clock, watch, asked } = watched()
    clock.advance(interval_ms)
    watch.stop() // between the question and the next wait
    await turn()
    clock.advance(100 * interval_ms)
    assert.equal(asked(), 1)
  })

  test("a client that answers nothing is told why, as well as it goes, and closed", async () => {
    const clock = new FakeClock()
    const served = serve({ clock })
    const { said } = await ssh2Client(served.socket)
    const { transport, closed } = await served.server
    transport.socket.pause() // what it says is not read: silence, to who waits for it
    for (let count = 0; count < 2 + limits.ssh_keepalives_max; count++) {
      clock.advance(interval_ms)
      await turn()
    }
    assert.ok(transport.silent_ms! >= (limits.ssh_keepalives_max + 1) * interval_ms)
    await eventually("its words", () => said.some((words) => words.startsWith("sluice: nothing came from your side any more")))
    clock.advance(limits.farewell_ms_max)
    await closed
  })

  test("while one global request waits for its answer, who asks whether we are there hears something, and the answers keep their order", async () => {
    const slow = Promise.withResolvers<boolean>()
    const served = serve({ owner: { onGlobal: (name) => (name === "slow" ? slow.promise : name === "fast") } })
    const client = new ssh2.Client()
    client.on("error", () => {})
    client.connect({ sock: served.socket, username: "deploy", privateKey: userKey.privateKey })
    const transport = new Transport(client as unknown as Ssh2Connection, new FakeClock(), keyLife)
    let ignored = 0
    transport.intercept((payload) => {
      if (payload[0] === message.ignore) ignored++
      return false
    })
    await new Promise<void>((resolve) => void client.once("ready", resolve))
    const answers: string[] = []
    transport.request("slow", Buffer.alloc(0), (said) => answers.push(said ? "slow: yes" : "slow: no"))
    assert.equal(ignored, 0)
    // For as long as somebody takes to decide: with ServerAliveInterval=5 that is more than there are answers that may wait.
    const times = 4 * limits.ssh_globals_max
    for (let time = 0; time < times; time++)
      transport.request("keepalive@openssh.com", Buffer.alloc(0), (said) => answers.push(said ? "alive: yes" : "alive: no"))
    transport.request("fast", Buffer.alloc(0), (said) => answers.push(said ? "fast: yes" : "fast: no"))
    transport.request("keepalive@openssh.com", Buffer.alloc(0), (said) => answers.push(said ? "alive: yes" : "alive: no"))
    await eventually("signs of life", () => ignored === times + 2)
    assert.deepEqual([answers, served.broken], [[], []])
    slow.resolve(true)
    await eventually("the answers", () => answers.length === times + 3)
    assert.deepEqual(answers, ["slow: yes", ...Array.from({ length: times }, () => "alive: no"), "fast: yes", "alive: no"])
  })
})
