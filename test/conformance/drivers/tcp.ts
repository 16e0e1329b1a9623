// TCP, carried by SSH: ssh2's client logs in at the gateway and opens a channel to the target, which is a server that repeats what it
// hears. What a client sends are bytes and no actions; coming in is the one there is.
import { once } from "node:events"
import type { Duplex } from "node:stream"
import ssh2 from "ssh2"
import { ssh } from "../../../protocols/ssh/index.ts"
import { tcp } from "../../../protocols/tcp/index.ts"
import { eventually } from "../../support/wait.ts"
import type { Driver, FakeTarget, Visit } from "../driver.ts"

const port = 6379

function serveTarget(socket: Duplex, target: FakeTarget): void {
  socket.on("error", () => {})
  socket.on("data", (chunk: Buffer) => {
    const said = chunk.toString()
    target.bytes += chunk.length
    target.arrived(said)
    if (said === "endless") target.say = (text) => void socket.write(text)
    else socket.write(said)
  })
  socket.once("end", () => socket.end())
  socket.once("close", () => target.cancelled++) // there is no other way to be told
}

export const driver: Driver = {
  protocol: ssh,
  carried: tcp,
  target: (name) => ({ protocol: "tcp", name, labels: {}, address: { host: name, port } }),
  serveTarget,
  garbage: Buffer.from("GET / HTTP/1.1\r\nHost: x\r\n\r\n"),
  named: (action) => action,
  warns: true,
  tells: false,
  answersHeld: false,
  async enter({ alice }, socket, target) {
    const client = new ssh2.Client()
    const said: string[] = []
    client.on("error", (error) => said.push(error.message))
    const debug = (line: string): void => void (line.includes("Debug output") && said.push(line))
    const login = { username: "alice", privateKey: alice.privateKey, authHandler: ["publickey"] as const }
    client.connect({ debug, sock: socket, ...login, authHandler: [...login.authHandler] })
    await once(client, "ready")
    const channel = await new Promise<ssh2.ClientChannel | undefined>((resolve) =>
      client.forwardOut("127.0.0.1", 50_000, target, port, (error, opened) => {
        if (error) said.push(error.message)
        resolve(error ? undefined : opened)
      }),
    )
    if (!channel) {
      socket.destroy()
      return { in: false, words: said.join("\n") }
    }
    const received: string[] = []
    channel.on("data", (chunk: Buffer) => received.push(chunk.toString())).on("error", () => {})
    const closed = once(channel, "close").then(() => {})
    const visit: Visit = {
      in: true,
      async act(action) {
        const before = received.join("").length
        channel.write(action)
        await Promise.race([eventually("the answer", () => received.join("").slice(before).includes(action)), closed])
        return received.join("").slice(before)
      },
      begin: (action) => Promise.resolve(void channel.write(action)),
      words: () => said.join("\n"),
      received: () => received.join(""),
      sendMore: () => void channel.write("too late"),
      closed,
      vanish: () => void socket.destroy(),
    }
    return visit
  },
}
