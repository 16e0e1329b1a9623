// A light PostgreSQL server for thousands of idle sessions, run as a child by `idle_postgres.ts`: it lets everybody in and then only
// listens (protocol 3.0, "Message Flow": Start-up). Real ones are measured in `postgres.ts`; here only the gateway's cut counts.
import { createServer } from "node:net"

const message = (type: string, body: Buffer): Buffer => {
  const head = Buffer.alloc(5)
  head.write(type, "latin1")
  head.writeInt32BE(body.length + 4, 1)
  return Buffer.concat([head, body])
}
const int32 = (...values: readonly number[]): Buffer => {
  const buffer = Buffer.alloc(values.length * 4)
  values.forEach((value, at) => buffer.writeInt32BE(value, at * 4))
  return buffer
}

const welcome = Buffer.concat([
  message("R", int32(0)), // AuthenticationOk
  message("S", Buffer.from("server_version\u000018.0\0")),
  message("S", Buffer.from("client_encoding\0UTF8\0")),
  message("K", int32(1, 1)), // BackendKeyData
  message("Z", Buffer.from("I")), // ReadyForQuery
])

const server = createServer((socket) => {
  socket.setNoDelay(true)
  socket.on("error", () => {})
  // The first message is the start-up, or a CancelRequest: 16 bytes, after which the server closes.
  socket.once("data", (first) => (first.length === 16 ? socket.destroy() : socket.write(welcome)))
  socket.on("end", () => socket.end())
})
server.listen({ port: 0, host: "127.0.0.1", backlog: 2048 }, () => {
  const address = server.address()
  if (address !== null && typeof address === "object") console.log(`listening ${address.port}`)
})
