// A real HTTP receiver of notifications: keeps what came, and answers as the test says.
import { once } from "node:events"
import { createServer, type IncomingHttpHeaders, type ServerResponse } from "node:http"
import type { AddressInfo } from "node:net"

export interface Received {
  readonly path: string
  readonly headers: IncomingHttpHeaders
  readonly body: string
}

export interface Receiver {
  readonly url: string
  readonly received: Received[]
  /** How the next ones are answered; 200 unless told. One that never answers holds its client. */
  answer: (response: ServerResponse, received: Received) => void
  stop(): Promise<void>
}

/** On `port`, or any that is free. */
export async function startReceiver(port = 0): Promise<Receiver> {
  const received: Received[] = []
  const server = createServer((request, response) => {
    const chunks: Buffer[] = []
    request.on("data", (chunk: Buffer) => chunks.push(chunk))
    request.on("end", () => {
      const one = { path: request.url ?? "", headers: request.headers, body: Buffer.concat(chunks).toString("utf8") }
      received.push(one)
      receiver.answer(response, one)
    })
  })
  server.listen(port, "127.0.0.1")
  await once(server, "listening")
  const receiver: Receiver = {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    received,
    answer: (response) => void response.end("ok"),
    async stop() {
      server.close()
      server.closeAllConnections()
      if (server.listening) await once(server, "close")
    },
  }
  return receiver
}
