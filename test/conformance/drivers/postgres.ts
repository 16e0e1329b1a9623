// PostgreSQL: node-postgres as the client, and a server just large enough to log in, answer a query with its own text, and be
// asked to cancel ("Message Formats" in the protocol's documentation).
import { once } from "node:events"
import type { Duplex } from "node:stream"
import pg from "pg"
import { postgres } from "../../../protocols/postgres/index.ts"
import type { Driver, FakeTarget, Visit } from "../driver.ts"

const int32 = (value: number): Buffer => {
  const bytes = Buffer.alloc(4)
  bytes.writeInt32BE(value)
  return bytes
}
const int16 = (value: number): Buffer => int32(value).subarray(2)
const cstring = (text: string): Buffer => Buffer.from(`${text}\0`)
const message = (type: string, ...parts: Buffer[]): Buffer => {
  const body = Buffer.concat(parts)
  return Buffer.concat([Buffer.from(type), int32(body.length + 4), body])
}
const ready = message("Z", Buffer.from("I"))
const description = message("T", int16(1), cstring("said"), int32(0), int16(0), int32(25), int16(-1), int32(-1), int16(0))
const row = (text: string): Buffer => message("D", int16(1), int32(Buffer.byteLength(text)), Buffer.from(text))
const cancel_code = 80877102

function serveTarget(socket: Duplex, target: FakeTarget): void {
  let rest = Buffer.alloc(0)
  let loggedIn = false
  const onMessage = (type: string, body: Buffer): void => {
    if (type === "X") return void socket.end()
    if (type === "S") return void socket.write(ready)
    if (type !== "Q") return
    const sql = body.toString("utf8", 0, body.length - 1)
    if (sql === "endless") {
      socket.write(description)
      target.say = (text) => void socket.write(row(text))
      return target.arrived(sql)
    }
    target.arrived(sql)
    socket.write(Buffer.concat([description, row(sql), message("C", cstring("SELECT 1")), ready]))
  }
  socket.on("data", (chunk: Buffer) => {
    rest = Buffer.concat([rest, chunk])
    if (loggedIn) target.bytes += chunk.length
    for (;;) {
      const offset = loggedIn ? 1 : 0
      if (rest.length < offset + 4) return
      const end = offset + rest.readInt32BE(offset)
      if (rest.length < end) return
      const one = rest.subarray(0, end)
      rest = rest.subarray(end)
      if (loggedIn) onMessage(String.fromCharCode(one[0]!), one.subarray(5))
      else if (one.readInt32BE(4) === cancel_code) {
        target.cancelled++
        return void socket.end()
      } else {
        loggedIn = true
        socket.write(Buffer.concat([message("R", int32(0)), message("K", int32(7), int32(11)), ready]))
      }
    }
  })
}

/** node-postgres dials for itself; this is a connection that it finds already made. */
function dialled(client: Duplex): Duplex {
  return Object.assign(client, {
    connect: () => setImmediate(() => client.emit("connect")),
    setNoDelay: () => client,
    setKeepAlive: () => client,
    ref: () => client,
    unref: () => client,
  })
}

export const driver: Driver = {
  protocol: postgres,
  target: (name) => ({
    protocol: "postgres",
    name,
    labels: {},
    address: { host: name, port: 5432 },
    database: "shop",
    databases: [],
    tls: "disable",
    ca: undefined,
    roles: new Map([["deploy", { password: undefined, login: "scram-sha-256", certificate: undefined, member_of: [] }]]),
    creator: undefined,
    pooler: undefined,
    redact: { patterns: [], values: undefined },
    startup: { options: false, replication: false },
  }),
  serveTarget,
  garbage: Buffer.from("GET / HTTP/1.1\r\nHost: x\r\n\r\n"),
  named: (action) => action,
  warns: true,
  tells: true,
  answersHeld: false,
  async enter({ issuer, alice }, client, target) {
    const { token } = await issuer.issue({ subject: alice.name, via: "test", use: "targets" })
    const said: string[] = []
    const rows: string[] = []
    const session = new pg.Client({ stream: () => dialled(client), user: "deploy", database: target, password: token, ssl: false })
    session.on("error", (error: Error & { hint?: string }) => said.push(error.message))
    session.on("notice", (notice) => said.push(notice.message ?? ""))
    try {
      await session.connect()
    } catch (failure) {
      const { message: text, hint } = failure as Error & { hint?: string }
      return { in: false, words: `${text} ${hint ?? ""}` }
    }
    const closed = client.closed ? Promise.resolve() : once(client, "close").then(() => {})
    const visit: Visit = {
      in: true,
      async act(action) {
        try {
          return (await session.query<{ said: string }>(action)).rows[0]?.said ?? ""
        } catch (failure) {
          said.push((failure as Error).message)
          throw failure
        }
      },
      begin(action) {
        const query = new pg.Query<{ said: string }>(action)
        query.on("row", (each) => rows.push(each?.said ?? ""))
        query.on("error", (error) => said.push(error.message))
        session.query(query as never)
        return Promise.resolve()
      },
      words: () => said.join("\n"),
      received: () => rows.join("\n"),
      sendMore: () => void client.write(message("Q", cstring("too late"))),
      closed,
      vanish: () => void client.destroy(),
    }
    return visit
  },
}
