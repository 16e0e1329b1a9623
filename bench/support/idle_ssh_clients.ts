// Idle SSH sessions, run as a child by `idle_ssh.ts`: for each line "open <count>" on its input it logs in so many times, with a
// terminal and a shell each, and says "opened <milliseconds>" when all have seen a prompt. They stay open until it ends.
import { readFileSync } from "node:fs"
import { createInterface } from "node:readline"
import ssh2 from "ssh2"

const at_once = 16
const [, , port, username = "", keyFile = ""] = process.argv
const privateKey = readFileSync(keyFile)

function open(): Promise<void> {
  return new Promise((resolve, reject) => {
    const client = new ssh2.Client()
    client.on("error", reject).on("ready", () =>
      client.shell({ term: "xterm-256color" }, (failure, shell) => {
        if (failure) return reject(failure)
        shell.on("data", () => resolve()).stderr.resume()
      }),
    )
    client.connect({ host: "127.0.0.1", port: Number(port), username, privateKey, readyTimeout: 60_000 })
  })
}

for await (const line of createInterface({ input: process.stdin })) {
  let left = Number(/^open (\d+)$/.exec(line)?.[1])
  const began = performance.now()
  const opening = async (): Promise<void> => {
    while (left-- > 0) await open()
  }
  await Promise.all(Array.from({ length: at_once }, opening))
  console.log(`opened ${performance.now() - began}`)
}
process.exit(0)
