// How many requests a second pass through Sluice, each with its token checked and on record? wrk with kept-alive connections to a
// small fast application; every proxy terminates TLS with the same kind of key.
import { startGateway } from "./support/gateway.ts"
import { startHttpProxy } from "./support/http_proxy.ts"
import { startNginxProxy, startUpstream } from "./support/nginx.ts"
import { inTurns } from "./support/rounds.ts"
import type { Settings } from "./support/settings.ts"
import { printMeasured } from "./support/table.ts"
import { selfSigned } from "../test/support/certificate.ts"
import { must } from "../test/support/run.ts"
import { gatewayName } from "../test/support/sluice_config.ts"
import { mustHave } from "../test/support/tools.ts"

const connections = 32
const threads = 2

export async function measure(settings: Settings): Promise<void> {
  const wrk = mustHave("wrk")
  const tls = await selfSigned(["127.0.0.1"])
  const upstream = await startUpstream()
  const [nginx, httpProxy] = await Promise.all([startNginxProxy(upstream.port, tls), startHttpProxy(upstream.port, tls)])
  const { sluice, alice, bob } = await startGateway([{ name: "app", http: { url: `http://127.0.0.1:${upstream.port}` } }], settings)
  await sluice.grant(alice, "app", { by: bob, for: "2h" })
  const token = await sluice.token(alice, "app")

  const rate = async (url: string, headers: readonly string[] = []): Promise<number> => {
    const load = ["-t", String(threads), "-c", String(connections), "-d", `${settings.seconds}s`]
    const said = await must(wrk, [...load, ...headers.flatMap((header) => ["-H", header]), url])
    const found = /^Requests\/sec:\s+([\d.]+)/m.exec(said)
    if (!found?.[1] || /Non-2xx|Socket errors/.test(said)) throw new Error(`wrk to ${url} said:\n${said}`)
    return Number(found[1])
  }
  try {
    const measured = await inTurns(
      settings.rounds,
      new Map([
        ["direct (no TLS)", () => rate(`http://127.0.0.1:${upstream.port}/`)],
        ["nginx", () => rate(`https://127.0.0.1:${nginx.port}/`)],
        ["http-proxy", () => rate(`https://127.0.0.1:${httpProxy.port}/`)],
        ["sluice", () => rate(`https://127.0.0.1:${sluice.port("http")}/`, [`Host: app.${gatewayName}`, `Authorization: Bearer ${token}`])],
      ]),
    )
    printMeasured(measured, {
      title: `HTTP: GET of 20 bytes, ${connections} kept-alive connections, TLS to each proxy, ${settings.rounds} rounds of ${settings.seconds} s`,
      unit: "requests/s",
      bases: ["nginx", "http-proxy"],
    })
  } finally {
    await Promise.all([sluice.stop(), nginx.stop(), httpProxy.stop()])
    await upstream.stop()
  }
}
