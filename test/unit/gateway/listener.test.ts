import assert from "node:assert/strict"
import { once } from "node:events"
import { connect, type Socket } from "node:net"
import { networkInterfaces } from "node:os"
import { Writable } from "node:stream"
import { createSecureContext } from "node:tls"
import { afterEach, describe, test } from "node:test"
import { limits } from "../../../src/core/limits.ts"
import type { Address } from "../../../src/core/target.ts"
import type { Gate, Protocol, Serve } from "../../../src/gateway/contract.ts"
import type { Threshold } from "../../../src/gateway/gate.ts"
import { Listener } from "../../../src/gateway/listener.ts"
import { createLog } from "../../../src/observe/log.ts"
import { FakeClock } from "../../support/fake_clock.ts"
import { eventually } from "../../support/wait.ts"

const has_ipv6 = Object.values(networkInterfaces()).some((addresses) => addresses?.some(({ address }) => address === "::1"))
const withoutIpv6 = has_ipv6 || process.env["CI"] ? false : "NOT TESTED: this machine has no IPv6"
const open: (() => void)[] = []
afterEach(() => open.splice(0).forEach((close) => close()))

/** A listener whose protocol echoes; its gate settles when the client sends "known". */
async function setUp(serve?: Serve, host = "127.0.0.1", tls: Protocol["tls"] = "in_stream") {
  const clock = new FakeClock()
  const gates: Gate[] = []
  const said: string[] = []
  const echo: Serve = async (client, gate) => {
    gates.push(gate)
    client.on("data", (chunk: Buffer) => {
      if (String(chunk) === "known") gate.settled()
      client.write(chunk)
    })
    await once(client, "close")
  }
  const protocol: Protocol = { name: "postgres", tls, configure: () => serve ?? echo }
  const threshold = { clock, secureContext: () => createSecureContext(), asksForCertificates: () => false } as unknown as Threshold
  const listener = new Listener({
    protocol,
    serve: serve ?? echo,
    listen: { host, port: 0 },
    threshold,
    processes: 1,
    log: createLog("info", new Writable({ write: (line: Buffer, _, done) => done(void said.push(String(line))) })),
  })
  const address = await listener.listen()
  open.push(() => listener.close())
  return { clock, listener, address, gates, said }
}

function client({ host, port }: Address): Socket {
  const socket = connect({ host, port })
  socket.on("error", () => {})
  open.push(() => socket.destroy())
  return socket
}

describe("a listener", () => {
  test("closes a client that says nothing when its time is up, and keeps the one that is known", async () => {
    const { clock, address } = await setUp()
    const silent = client(address)
    const known = client(address)
    known.write("known")
    await once(known, "data")
    await eventually("the silent one is in", () => silent.readyState === "open")
    clock.advance(limits.handshake_ms_max.postgres)
    await once(silent, "close")
    known.write("again")
    assert.equal(String((await once(known, "data"))[0]), "again")
  })

  test("one address with too many silent clients is turned away, and let in again when one of them leaves", async () => {
    const { address, gates } = await setUp()
    const silent = Array.from({ length: limits.handshaking_per_address_max }, () => client(address))
    await eventually("all inside", () => gates.length === silent.length)
    const refused = client(address)
    await once(refused, "close")
    silent[0]!.destroy()
    await eventually("a place", async () => {
      const next = client(address)
      next.write("known")
      const answered = await Promise.race([once(next, "data").then(() => true), once(next, "close").then(() => false)])
      return answered
    })
  })

  test("a protocol that fails closes its client and nothing else", async () => {
    let calls = 0
    const { address } = await setUp(async (socket, gate) => {
      calls++
      if (calls === 1) throw new Error("our own mistake")
      gate.settled()
      socket.write("fine")
      await once(socket, "close")
    })
    const first = client(address)
    first.resume()
    await once(first, "close")
    const second = client(address)
    assert.equal(String((await once(second, "data"))[0]), "fine")
  })

  test("who only looks whether the port is there is not in the log; who speaks nonsense is", async () => {
    const { address, said } = await setUp(undefined, "127.0.0.1", "accept")
    const looks = client(address)
    await once(looks, "connect")
    looks.end()
    await once(looks.resume(), "close")
    const talks = client(address)
    await once(talks, "connect")
    const { localPort } = talks
    talks.end("this is no TLS")
    await once(talks.resume(), "close")
    await eventually("it to be told", () => said.length > 0)
    const port = (line: string): string => (JSON.parse(line) as { client: string }).client
    assert.deepEqual(said.map(port), [`127.0.0.1:${localPort}`])
  })

  test("stopped, it takes nobody new and keeps who is inside; closed, it keeps nobody", async () => {
    const { listener, address } = await setUp()
    const inside = client(address)
    inside.write("known")
    await once(inside, "data")
    listener.stop()
    const late = client(address)
    await new Promise((resolve) => late.once("close", resolve))
    inside.write("still")
    assert.equal(String((await once(inside, "data"))[0]), "still")
    listener.close()
    await once(inside, "close")
  })

  test("a client's address is written so that its port can be told from it, and IPv4 as IPv4", { skip: withoutIpv6 }, async () => {
    const { address, gates } = await setUp(undefined, "::")
    for (const host of ["127.0.0.1", "::1"]) await once(client({ host, port: address.port }), "connect")
    await eventually("both inside", () => gates.length === 2)
    const [first, second] = gates.map((gate) => gate.address).sort()
    assert.match(first!, /^127\.0\.0\.1:\d+$/)
    assert.match(second!, /^\[::1\]:\d+$/)
  })

  test("a port that is taken is the operator's to hear of", async () => {
    const { address } = await setUp()
    const second = new Listener({
      protocol: { name: "postgres", tls: "in_stream", configure: () => async () => {} },
      serve: async () => {},
      listen: address,
      threshold: {} as Threshold,
      processes: 1,
      log: createLog("silent"),
    })
    await assert.rejects(second.listen(), { code: "EADDRINUSE" })
  })
})
