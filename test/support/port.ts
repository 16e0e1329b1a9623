// Ports for servers that cannot be asked for port 0 (sshd, postgres, nginx …). Everything of our own listens on port 0 instead.
import { connect, createServer } from "node:net"
import { once } from "node:events"

export interface LocalAddress {
  readonly host: "127.0.0.1"
  readonly port: number
}

/** A loopback port that was free a moment ago; whoever uses it must be ready to try another. */
export async function freePort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1")
  await once(server, "listening")
  const address = server.address()
  server.close()
  await once(server, "close")
  if (address === null || typeof address === "string") throw new Error("no port")
  return address.port
}

/** Whether somebody accepts connections there. */
export function answers(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ port, host: "127.0.0.1" })
    const settle = (yes: boolean) => (): void => {
      socket.destroy()
      resolve(yes)
    }
    socket.once("connect", settle(true)).once("error", settle(false))
  })
}

/** Starts something on a free port, trying again when somebody else was quicker. `start` throws when its port was taken. */
export async function onFreePort<T>(start: (port: number) => Promise<T>): Promise<T> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await start(await freePort())
    } catch (failure) {
      if (attempt === 3) throw failure
    }
  }
}
