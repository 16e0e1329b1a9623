// A PostgreSQL client that logs in with a password in the clear and then waits, noting when its socket closes. Raw, so that a
// thousand of them cost this process next to nothing at the moment that counts.
import { connect } from "node:net"

export interface IdleClient {
  /** When the socket closed, milliseconds since the Unix epoch with fractions, and the last error the server sent. */
  readonly closed: Promise<{ at: number; words: string }>
  destroy(): void
}

export interface Login {
  readonly port: number
  readonly user: string
  readonly database: string
  readonly password: string
}

/** The wall clock with more than milliseconds. */
export const now = (): number => performance.timeOrigin + performance.now()

/** Settles when the server is ready for a query. */
export function login({ port, user, database, password }: Login): Promise<IdleClient> {
  return new Promise((resolve, reject) => {
    const socket = connect({ port, host: "127.0.0.1", noDelay: true })
    let rest = Buffer.alloc(0)
    let words = ""
    const closed = new Promise<{ at: number; words: string }>((settle) => {
      socket.once("close", () => {
        const at = now()
        reject(new Error(`the gateway closed during the login: ${words}`))
        settle({ at, words })
      })
    })
    socket.on("error", () => {})
    socket.once("connect", () => socket.write(startup({ user, database })))
    socket.on("data", (chunk) => {
      rest = Buffer.concat([rest, chunk])
      while (rest.length >= 5 && rest.length >= rest.readInt32BE(1) + 1) {
        const body = rest.subarray(5, rest.readInt32BE(1) + 1)
        const type = String.fromCharCode(rest[0] ?? 0)
        rest = rest.subarray(body.length + 5)
        if (type === "R" && body.readInt32BE(0) === 3) socket.write(passwordMessage(password))
        else if (type === "R" && body.readInt32BE(0) !== 0) socket.destroy(new Error("another kind of login"))
        else if (type === "E") words = body.toString("utf8").replaceAll("\0", " ")
        else if (type === "Z") resolve({ closed, destroy: () => socket.destroy() })
      }
    })
  })
}

function startup(parameters: Readonly<Record<string, string>>): Buffer {
  const body = Buffer.from(
    Object.entries(parameters)
      .map(([name, value]) => `${name}\0${value}\0`)
      .join("") + "\0",
  )
  const head = Buffer.alloc(8)
  head.writeInt32BE(body.length + 8)
  head.writeInt32BE(196_608, 4) // protocol 3.0
  return Buffer.concat([head, body])
}

function passwordMessage(password: string): Buffer {
  const body = Buffer.from(`${password}\0`)
  const head = Buffer.alloc(5)
  head.write("p", "latin1")
  head.writeInt32BE(body.length + 4, 1)
  return Buffer.concat([head, body])
}
