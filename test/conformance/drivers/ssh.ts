// SSH: ssh2's client on one side, ssh2's server on the other, in the form `ssh login@target@gateway`.
import { once } from "node:events"
import type { Duplex } from "node:stream"
import ssh2 from "ssh2"
import type { ServerChannel } from "ssh2"
import { ssh } from "../../../protocols/ssh/index.ts"
import { Secret } from "../../../src/core/secret.ts"
import { usual_env } from "../../../src/core/target.ts"
import { keyPair } from "../../support/people.ts"
import type { Driver, FakeTarget, Visit } from "../driver.ts"

const hostKey = keyPair("target host key")
const loginKey = keyPair("the gateway's key for the target")

function serveTarget(socket: Duplex, target: FakeTarget): void {
  const server = new ssh2.Server({ hostKeys: [hostKey.privateKey] }, (connection) => {
    connection.on("error", () => {})
    connection.on("authentication", (context) => (context.method === "publickey" ? context.accept() : context.reject(["publickey"])))
    connection.on("session", (accept) => {
      const session = accept()
      session.on("signal", (accepted) => {
        target.cancelled++
        accepted?.()
      })
      session.on("exec", (accepted, _reject, { command }) => {
        const channel: ServerChannel = accepted()
        channel.on("error", () => {})
        channel.on("data", (chunk: Buffer) => (target.bytes += chunk.length))
        target.arrived(command)
        if (command === "endless") target.say = (text) => void channel.write(text)
        else {
          channel.write(command)
          channel.exit(0)
          channel.end()
        }
      })
    })
  })
  server.injectSocket(socket as never)
}

export const driver: Driver = {
  protocol: ssh,
  target: (name) => ({
    protocol: "ssh",
    name,
    labels: {},
    address: { host: name, port: 22 },
    logins: ["deploy"],
    auth: { key: new Secret(loginKey.privateKey) },
    sftp: "all",
    record: { digests: true },
    allow: { shell: true, exec: true, local_forward: [], remote_forward: [], agent: false, env: [...usual_env] },
    hostKeys: [hostKey.publicKey],
    hostCas: [],
  }),
  serveTarget,
  garbage: Buffer.from("GET / HTTP/1.1\r\nHost: x\r\n\r\n"),
  named: (action) => action,
  warns: false,
  tells: true,
  answersHeld: false,
  async enter({ alice }, socket, target) {
    const client = new ssh2.Client()
    const said: string[] = []
    const received: string[] = []
    client.on("banner", (text) => said.push(text))
    const entered = await new Promise<boolean>((resolve) => {
      client.on("ready", () => resolve(true))
      client.on("error", (error) => {
        said.push(error.message)
        resolve(false)
      })
      client.on("close", () => resolve(false))
      // ssh2 keeps a disconnect's words to itself; OpenSSH prints them.
      const debug = (line: string): void => void (line.includes("DISCONNECT") && said.push(line))
      client.connect({ debug, sock: socket, username: `deploy@${target}`, privateKey: alice.privateKey, authHandler: ["publickey"] })
    })
    if (!entered) return { in: false, words: said.join("\n") }
    let last: ssh2.ClientChannel | undefined
    const exec = (action: string): Promise<ssh2.ClientChannel> =>
      new Promise((resolve, reject) => {
        client.exec(action, (error, channel) => {
          if (error) return reject(error)
          last = channel
          channel.on("data", (chunk: Buffer) => received.push(chunk.toString()))
          channel.stderr.on("data", (chunk: Buffer) => said.push(chunk.toString()))
          resolve(channel)
        })
      })
    const visit: Visit = {
      in: true,
      async act(action) {
        const channel = await exec(action)
        let answer = ""
        channel.on("data", (chunk: Buffer) => (answer += chunk.toString()))
        await once(channel, "close")
        return answer
      },
      begin: async (action) => void (await exec(action)),
      words: () => said.join("\n"),
      received: () => received.join(""),
      sendMore: () => void last?.write("too late"),
      closed: socket.closed ? Promise.resolve() : once(socket, "close").then(() => {}),
      vanish: () => void socket.destroy(),
    }
    return visit
  },
}
