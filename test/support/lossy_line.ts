// A TCP line to a server that breaks where a test says: before the server gets some bytes, or after it has answered them and
// before anybody hears the answer; or that stays and says nothing more.
import { once } from "node:events"
import { connect, createServer, type Socket } from "node:net"
import type { LocalAddress } from "./port.ts"

type Break = "before" | "answered" | "silent"

export interface LossyLine {
  /** Where to connect to in place of the server. */
  readonly address: LocalAddress
  /** Breaks once, the next time that a client sends `words`: before they arrive, or when they are answered; "silent": neither they nor more arrive. */
  breakAt(words: string, when: Break): void
  close(): Promise<void>
}

export async function lossyLine(server: LocalAddress): Promise<LossyLine> {
  let armed: { readonly words: string; readonly when: Break } | undefined
  const sockets = new Set<Socket>()
  const listener = createServer((near) => {
    const far = connect({ ...server, noDelay: true })
    let [deaf, silent] = [false, false]
    const end = (): void => [near, far].forEach((socket) => socket.destroy())
    for (const socket of [near, far]) {
      sockets.add(socket)
      socket
        .on("error", () => {})
        .on("close", () => {
          sockets.delete(socket)
          end()
        })
    }
    near.on("data", (bytes) => {
      const broken = armed && bytes.includes(armed.words) ? armed : undefined
      if (broken) armed = undefined
      if (broken?.when === "before") return end()
      silent ||= broken?.when === "silent"
      if (silent) return
      deaf ||= broken !== undefined
      far.write(bytes)
    })
    far.on("data", (bytes) => (deaf ? end() : void near.write(bytes)))
  })
  listener.listen(0, "127.0.0.1")
  await once(listener, "listening")
  const bound = listener.address()
  if (bound === null || typeof bound === "string") throw new Error("no port")
  return {
    address: { host: "127.0.0.1", port: bound.port },
    breakAt: (words, when) => void (armed = { words, when }),
    async close() {
      for (const socket of sockets) socket.destroy()
      listener.close()
      await once(listener, "close")
    },
  }
}
