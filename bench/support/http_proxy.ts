// The npm package `http-proxy`, as it comes, in a process of its own.
import { writeFileSync } from "node:fs"
import { join } from "node:path"
import { answers, onFreePort } from "../../test/support/port.ts"
import { launch } from "../../test/support/run.ts"
import { scratch } from "../../test/support/scratch.ts"
import { eventually } from "../../test/support/wait.ts"
import type { Comparator } from "./comparator.ts"

export function startHttpProxy(targetPort: number, tls: { cert: string; key: string }): Promise<Comparator> {
  const folder = scratch("bench-http-proxy")
  const [cert, key] = [join(folder, "server.crt"), join(folder, "server.key")]
  writeFileSync(cert, tls.cert)
  writeFileSync(key, tls.key, { mode: 0o600 })
  return onFreePort(async (port) => {
    const args = [join(import.meta.dirname, "http_proxy_child.ts"), String(port), `http://127.0.0.1:${targetPort}`, cert, key]
    const running = launch(process.execPath, ["--no-deprecation", ...args], { background: true })
    await eventually("http-proxy to listen", async () => !running.running || (await answers(port)))
    if (!running.running) throw new Error(`http-proxy did not start:\n${running.stderr}`)
    return { port, stop: async () => void (await running.stop()) }
  })
}
