// The npm package `http-proxy` as its own documentation starts it, with TLS in front; run as a child by `http_proxy.ts`.
import { readFileSync } from "node:fs"
import { createRequire } from "node:module"

interface HttpProxy {
  createProxyServer(options: { target: string; ssl: { cert: string; key: string } }): {
    on(event: "error", handler: (failure: Error, request: unknown, response: { destroy(): void }) => void): void
    listen(port: number, host: string): void
  }
}

// It carries no types of its own.
const httpProxy = createRequire(import.meta.url)("http-proxy") as HttpProxy

const [port, target, cert, key] = process.argv.slice(2)
if (!port || !target || !cert || !key) throw new Error("usage: http_proxy_child.ts <port> <target url> <cert file> <key file>")
const proxy = httpProxy.createProxyServer({ target, ssl: { cert: readFileSync(cert, "utf8"), key: readFileSync(key, "utf8") } })
proxy.on("error", (_failure, _request, response) => response.destroy())
proxy.listen(Number(port), "127.0.0.1")
