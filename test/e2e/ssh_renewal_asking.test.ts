// Keys that are renewed while somebody is asked for access: the conversation goes on under the new ones, and what was asked is given.
import assert from "node:assert/strict"
import { after, before, suite, test } from "node:test"
import ssh2 from "ssh2"
import type { Ssh2Connection } from "../../protocols/ssh/transport.ts"
import { type People, people } from "../support/people.ts"
import { type Sluice, startSluice } from "../support/sluice.ts"
import { sshTarget } from "../support/sluice_config.ts"
import { type Sshd, startSshd } from "../support/sshd.ts"
import { needs } from "../support/tools.ts"
import { eventually } from "../support/wait.ts"

suite("ssh: new keys while somebody is asked for access", { skip: needs("sshd"), concurrency: 1 }, () => {
  const { alice, bob }: People = people()
  let sshd: Sshd
  let sluice: Sluice

  before(async () => {
    sshd = await startSshd()
    sluice = await startSluice({ users: [alice, bob], targets: [sshTarget("prod-host", sshd)] })
  })
  after(async () => {
    await sluice.stop()
    await sshd.stop()
  })

  /** A client that has said why, and waits. */
  async function asking(): Promise<{ client: ssh2.Client; ready: Promise<boolean>; request: number }> {
    const client = new ssh2.Client()
    client.on("error", () => {})
    client.on("keyboard-interactive", (_name, _words, _language, prompts, answer) => answer(prompts.map(() => "1h")))
    const ready = new Promise<boolean>((resolve) => {
      client.once("ready", () => resolve(true)).once("close", () => resolve(false))
    })
    const login = { username: `${sshd.login}@prod-host`, privateKey: alice.privateKey, tryKeyboard: true }
    client.connect({ host: "127.0.0.1", port: sluice.port("ssh"), ...login, readyTimeout: 60_000 })
    const { id } = await eventually("a request to wait", async () => {
      const { requests } = await sluice.api(bob).call("requests", { query: { status: "pending" } })
      return requests[0]
    })
    return { client, ready, request: id }
  }

  /** Begins an exchange; settles when its keys are in use. */
  function renew(client: ssh2.Client): Promise<void> {
    const protocol = (client as unknown as Ssh2Connection)._protocol!
    const renewed = new Promise<void>((resolve) => void client.once("handshake", () => resolve()))
    protocol.rekey()
    return renewed
  }

  test("approved after several renewals, they are in, and what they run runs", async () => {
    const { client, ready, request } = await asking()
    for (let turn = 0; turn < 3; turn++) await renew(client)
    await sluice.api(bob).call("approve", { id: request, body: {} })
    assert.equal(await ready, true)
    await renew(client)
    const said = await new Promise<string>((resolve, reject) => {
      client.exec("echo in", (error, channel) => {
        if (error) return reject(error)
        let words = ""
        channel.on("data", (chunk: Buffer) => (words += chunk.toString())).once("close", () => resolve(words))
      })
    })
    assert.equal(said, "in\n")
    client.end()
    for (const { id } of (await sluice.api(alice).call("grants", { query: {} })).grants)
      await sluice.api(alice).call("drop", { id, body: {} })
  })

  test("approved in the middle of one: they are in as soon as it is over", async () => {
    const { client, ready, request } = await asking()
    const renewed = renew(client)
    await sluice.api(bob).call("approve", { id: request, body: {} })
    await renewed
    assert.equal(await ready, true)
    client.end()
    for (const { id } of (await sluice.api(alice).call("grants", { query: {} })).grants)
      await sluice.api(alice).call("drop", { id, body: {} })
  })

  test("they leave in the middle of one: the request is taken back", async () => {
    const { client, ready, request } = await asking()
    void renew(client)
    client.destroy()
    assert.equal(await ready, false)
    await eventually("the request to be taken back", async () => {
      const { status } = await sluice.api(alice).call("request", { id: request, query: {} })
      return status === "withdrawn"
    })
  })
})
