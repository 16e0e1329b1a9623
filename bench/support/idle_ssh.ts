// Starts the light SSH server and the idle clients as children, so that their work and their memory are not the gateway's.
import { join } from "node:path"
import { keyPair } from "../../test/support/people.ts"
import { launch } from "../../test/support/run.ts"

export interface LightSsh {
  readonly at: string
  /** "ssh-ed25519 AAAA…" */
  readonly hostKey: string
  stop(): Promise<void>
}

export async function startLightSsh(): Promise<LightSsh> {
  const { privateKey, publicKey } = keyPair("host")
  const key = Buffer.from(privateKey).toString("base64")
  const running = launch(process.execPath, [join(import.meta.dirname, "light_ssh_server.ts"), key], { background: true })
  const [, port] = await running.says(/^listening (\d+)$/m)
  const hostKey = publicKey.split(" ").slice(0, 2).join(" ")
  return { at: `127.0.0.1:${port}`, hostKey, stop: async () => void (await running.stop()) }
}

export interface IdleSshClients {
  /** Settles with the milliseconds it took when so many more sessions are open. */
  open(count: number): Promise<number>
  stop(): Promise<void>
}

export function startIdleSshClients(way: { readonly port: number; readonly user: string; readonly keyFile: string }): IdleSshClients {
  const script = join(import.meta.dirname, "idle_ssh_clients.ts")
  const running = launch(process.execPath, [script, String(way.port), way.user, way.keyFile], { background: true })
  let seen = 0
  return {
    async open(count) {
      running.type(`open ${count}\n`)
      const [, took] = await running.says(new RegExp(`^(?:opened \\S+\\n){${seen++}}opened (\\S+)$`, "m"), 300_000)
      return Number(took)
    },
    stop: async () => void (await running.stop()),
  }
}
