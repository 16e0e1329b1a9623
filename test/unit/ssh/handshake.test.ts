import assert from "node:assert/strict"
import { suite, test } from "node:test"
import ssh2 from "ssh2"
import { ciphersFor } from "../../../protocols/ssh/algorithms.ts"
import { message, pack } from "../../../protocols/ssh/codec.ts"
import { keyLife } from "../../../protocols/ssh/key_renewal.ts"
import { disconnectReason, type Ssh2Connection, Transport } from "../../../protocols/ssh/transport.ts"
import { systemClock } from "../../../src/core/clock.ts"
import { limits } from "../../../src/core/limits.ts"
import { fingerprint } from "../../../src/identity/ssh_fingerprint.ts"
import { Secret } from "../../../src/core/secret.ts"
import { keyPair } from "../../support/people.ts"
import { connect, serve, ssh2Client, targetWith } from "./rig.ts"

const weak = /sha1(?!\d)|md5|cbc|3des|arcfour|blowfish|cast128|ssh-dss|^ssh-rsa$|group1-|group-exchange/

suite("ssh: the handshake", () => {
  test("nothing weak is offered, and strict key exchange is", async () => {
    const heard: string[] = []
    const { client } = await ssh2Client(serve().socket, { debug: (line) => heard.push(line) })
    client.end()
    const offered = heard.flatMap((line) => /^Handshake: \(remote\) [^:]+: (.*)$/.exec(line)?.[1]?.split(",") ?? [])
    assert.ok(offered.includes("kex-strict-s-v00@openssh.com"))
    assert.ok(offered.includes("ssh-ed25519-cert-v01@openssh.com"))
    assert.deepEqual(
      offered.filter((name) => weak.test(name)),
      [],
    )
  })

  test("a client that has only weak algorithms does not get in", async () => {
    for (const algorithms of [
      { cipher: ["aes128-cbc"] },
      { kex: ["diffie-hellman-group14-sha1"] },
      { hmac: ["hmac-sha1"], cipher: ["aes128-ctr"] },
    ]) {
      const { said } = await ssh2Client(serve().socket, { algorithms: algorithms as never })
      assert.match(said.join(), /no matching|KEY_EXCHANGE_FAILED/)
    }
  })

  test("OpenSSH gets AES-GCM, others choose", () => {
    assert.deepEqual(ciphersFor("OpenSSH_9.2p1"), ["aes128-gcm@openssh.com", "aes256-gcm@openssh.com"])
    assert.ok(ciphersFor("OpenSSH_6.1").includes("aes256-ctr"))
    assert.ok(ciphersFor("PuTTY_Release_0.80").includes("aes256-ctr"))
  })

  test("a banner and the words of a disconnect reach the client", async () => {
    let transport: Transport | undefined
    const { socket } = serve({
      onConnection: (connection) => (transport = connection.transport),
      login: () => {
        transport?.banner("ask for it")
        transport?.disconnect(disconnectReason.service_not_available, "it is over")
        return Promise.resolve(["publickey"])
      },
    })
    const { said } = await ssh2Client(socket)
    assert.deepEqual(said.slice(0, 2), ["ask for it\r\n", "it is over"])
  })

  for (const [what, payload] of [
    ["a channel", Buffer.concat([Buffer.of(message.channel_open), pack("session", 0, 1024, 1024)])],
    ["a global request", Buffer.concat([Buffer.of(message.global_request), pack("tcpip-forward", true)])],
  ] as const) {
    test(`${what} before the login is a broken protocol`, async () => {
      const { socket, broken } = serve()
      const client = new ssh2.Client()
      client.on("error", () => {})
      client.connect({ sock: socket, username: "deploy", authHandler: () => undefined })
      const transport = new Transport(client as unknown as Ssh2Connection, systemClock(), keyLife)
      client.once("handshake", () => transport.send(payload))
      await new Promise((resolve) => socket.once("close", resolve))
      assert.equal(broken[0]?.code, "protocol_broken")
    })
  }

  for (const [what, bound, answer] of [
    ["questions whether a key would do", limits.ssh_key_questions_max, false],
    ["attempts to log in", limits.ssh_auth_attempts_max, true],
  ] as const) {
    test(`${what} are bounded`, async () => {
      let [questions, attempts] = [0, 0]
      const { socket } = serve({
        login: (attempt) => {
          const signed = attempt.method === "publickey" && attempt.signature !== undefined
          if (signed) attempts++
          else questions++
          return Promise.resolve(!signed && answer ? true : ["publickey"])
        },
      })
      const key = keyPair("another")
      const method = { type: "publickey" as const, username: "deploy", key: key.privateKey }
      const { said } = await ssh2Client(socket, { authHandler: (_left, _partial, next) => next(method) })
      assert.equal(answer ? attempts : questions, bound)
      assert.match(said.join(), /tried too many keys/)
    })
  }

  test("garbage is closed without an answer to it", async () => {
    const { socket } = serve()
    let heard = ""
    socket.on("data", (chunk: Buffer) => (heard += chunk.toString("latin1")))
    socket.write("GET / HTTP/1.1\r\nHost: x\r\n\r\n")
    await new Promise((resolve) => socket.once("end", resolve))
    assert.equal(heard, "SSH-2.0-Sluice\r\n")
  })
})

suite("ssh: towards a target", () => {
  test("another host key than the pinned one is not trusted, and the log can name both", async () => {
    const other = keyPair("other")
    const failure = await connect(serve().socket, targetWith({ hostKeys: [other.publicKey] })).catch((error: unknown) => error)
    assert.equal((failure as { code: string }).code, "target_untrusted")
    const cause = String((failure as { cause: unknown }).cause)
    assert.ok(cause.includes(fingerprint(Buffer.from(other.publicKey.split(" ")[1]!, "base64"))), cause)
    assert.equal(cause.match(/SHA256:/g)?.length, 2)
    assert.doesNotMatch(String(failure), /SHA256/)
  })

  test("credentials that are not accepted, and a target that hangs up, are told apart", async () => {
    const refusing = serve({ login: () => Promise.resolve(["publickey"]) })
    await assert.rejects(connect(refusing.socket), { code: "target_login_failed" })
    const { socket } = serve()
    const connecting = connect(socket)
    socket.destroy()
    await assert.rejects(connecting, { code: "target_unreachable" })
  })

  test("a password answers a password, and a single hidden question", async () => {
    const asked: string[] = []
    const { socket } = serve({
      login: async (attempt) => {
        asked.push(attempt.method)
        return attempt.method === "password" && (attempt as unknown as { password: string }).password === "secret" ? true : ["password"]
      },
    })
    await connect(socket, targetWith({ auth: { password: new Secret("secret") } }))
    assert.deepEqual(asked, ["password"])
  })
})
