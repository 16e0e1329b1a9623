// A small TCP or Unix socket server that speaks first, repeats what it hears, and has something to say when the client has ended its
// half: what forwarded connections must carry. And a client's end of such a connection.
import { once } from "node:events"
import { connect, createServer, type Socket } from "node:net"
import { eventually } from "./wait.ts"

export interface Greeter {
  /** "127.0.0.1:52044", or the path. */
  readonly at: string
  readonly port: number
  /** Connections that are open now, and all there have been. */
  open(): number
  served(): number
  /** All bytes that came. */
  heard(): string
  /** Says something on every connection. */
  say(text: string): void
  stop(): Promise<void>
}

/** `path`: a Unix socket; left out: a free port of 127.0.0.1. */
export async function startGreeter(path?: string): Promise<Greeter> {
  const sockets = new Set<Socket>()
  let served = 0
  let heard = ""
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    sockets.add(socket)
    served++
    socket.on("error", () => {})
    socket.once("close", () => sockets.delete(socket))
    socket.on("data", (chunk: Buffer) => {
      if (heard.length < 1024 * 1024) heard += chunk.toString()
      if (!socket.write(chunk)) {
        socket.pause()
        socket.once("drain", () => socket.resume())
      }
    })
    socket.on("end", () => socket.end("goodbye\n"))
    socket.write("hello\n")
  })
  server.listen(path ?? { host: "127.0.0.1", port: 0 })
  await once(server, "listening")
  const address = server.address()
  const port = typeof address === "object" && address ? address.port : 0
  return {
    at: path ?? `127.0.0.1:${port}`,
    port,
    open: () => sockets.size,
    served: () => served,
    heard: () => heard,
    say: (text) => sockets.forEach((socket) => void socket.write(text)),
    async stop() {
      for (const socket of sockets) socket.destroy()
      server.close()
      await once(server, "close")
    },
  }
}

/** A connection of a client's, to a port of this machine or a path. */
export class Caller {
  readonly socket: Socket
  readonly closed: Promise<void>
  text = ""

  constructor(at: number | string) {
    this.socket = typeof at === "string" ? connect(at) : connect(at, "127.0.0.1")
    this.socket.on("error", () => {})
    this.socket.on("data", (chunk: Buffer) => (this.text += chunk.toString()))
    this.closed = new Promise((resolve) => this.socket.once("close", () => resolve()))
  }

  hears(words: string): Promise<true> {
    return eventually(`"${words}" to be heard`, () => this.text.includes(words))
  }
}

/** Says `text`, ends its half, and answers all that came. */
export async function callThrough(at: number | string, text: string): Promise<string> {
  const caller = new Caller(at)
  await caller.hears("hello\n")
  caller.socket.end(text)
  await caller.closed
  return caller.text
}
