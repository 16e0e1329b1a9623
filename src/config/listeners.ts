// The sections `gateway` and `approvals`: where Sluice listens and by which names it is reached.
import { isIP } from "node:net"
import { resolve } from "node:path"
import { limits } from "../core/limits.ts"
import type { Address } from "../core/target.ts"
import { collide, formatAddress, isHostname, parseAddress, parseHttpUrl } from "./address.ts"
import type { ApprovalsConfig, GatewayConfig } from "./config.ts"
import { readGateways } from "./gateways.ts"
import { readKeyPair } from "./key_pair.ts"
import type { Reading } from "./reading.ts"
import { part } from "./schema.ts"
import type { ApprovalsFile } from "./schema.ts"
import type { Path } from "./source.ts"
import { readStore } from "./store.ts"

export function readGateway(reading: Reading): GatewayConfig | undefined {
  const file = reading.section(part.gateway, ["gateway"])
  if (!file) return undefined
  const name = file.name.toLowerCase()
  if (!isHostname(name) && isIP(name) === 0) reading.problem(["gateway", "name"], "expected a host name, such as gw.example.com")
  const ssh = file.ssh && listener(reading, ["gateway", "ssh", "listen"], file.ssh.listen)
  const postgres = file.postgres && listener(reading, ["gateway", "postgres", "listen"], file.postgres.listen)
  const http = file.http && listener(reading, ["gateway", "http", "listen"], file.http.listen)
  const health = file.health && listener(reading, ["gateway", "health", "listen"], file.health.listen)
  const domain = (file.http?.domain ?? name).toLowerCase()
  if (file.http && !isHostname(domain)) reading.problem(["gateway", "http", "domain"], "expected a domain name, such as gw.example.com")
  if (/\{(?!user\})/.test(file.ask_with ?? ""))
    reading.problem(["gateway", "ask_with"], "only {user} stands for something: the name of who reads the line")
  const port = ssh && ssh.port !== 22 ? `-p ${ssh.port} ` : ""
  return {
    name,
    ask_with: file.ask_with ?? `ssh ${port}${name}`,
    ssh: ssh && { listen: ssh },
    postgres: postgres && { listen: postgres, login: file.postgres?.login ?? "token" },
    http: http && { listen: http, domain },
    tls: file.tls && readKeyPair(reading, ["gateway", "tls"], file.tls),
    health: health && { listen: health },
    workers: file.workers,
  }
}

export function readApprovals(reading: Reading, { folder, state, gateway }: ApprovalsContext): ApprovalsConfig | undefined {
  const file = reading.section(part.approvals, ["approvals"])
  if (!file) return undefined
  const listen = listener(reading, ["approvals", "listen"], file.listen)
  const url = readUrl(reading, ["approvals", "url"], file.url) ?? `http://${formatAddress(reachable(listen))}`
  return {
    listen,
    url,
    public_url: readUrl(reading, ["approvals", "public_url"], file.public_url) ?? throughGateway(gateway) ?? url,
    store: readStore(reading, file.store, folder) ?? { kind: "sqlite", path: resolve(state, "sluice.db") },
    gateway_key: readGatewayKey(reading, file),
    gateways: readGateways(reading, file, gateway?.name),
  }
}

export interface ApprovalsContext {
  readonly folder: string
  readonly state: string
  readonly gateway: GatewayConfig | undefined
}

/** A gateway that serves HTTP passes on what is asked of its own name. */
function throughGateway(gateway: GatewayConfig | undefined): string | undefined {
  const http = gateway?.http
  if (!http || http.listen.port === 0) return undefined
  return `https://${http.domain}${http.listen.port === 443 ? "" : `:${http.listen.port}`}`
}

/** Two listeners on one address: the second would fail to start. */
export function checkListeners(reading: Reading, gateway: GatewayConfig | undefined, approvals: ApprovalsConfig | undefined): void {
  const all: { path: Path; listen: Address | undefined }[] = [
    ...(["ssh", "postgres", "http", "health"] as const).map((name) => ({
      path: ["gateway", name, "listen"],
      listen: gateway?.[name]?.listen,
    })),
    { path: ["approvals", "listen"], listen: approvals?.listen },
  ]
  for (const [index, { path, listen }] of all.entries()) {
    const other = all.slice(0, index).find((earlier) => listen && earlier.listen && collide(listen, earlier.listen))
    if (listen && other) reading.problem(path, `${formatAddress(listen)} is taken by ${other.path.join(".")} already`)
  }
}

const unreadable: Address = { host: "", port: 0 }

function listener(reading: Reading, path: Path, text: string): Address {
  const address = parseAddress(text, 0)
  if (!address) reading.problem(path, "expected an address to listen on, such as 0.0.0.0:2222 or [::1]:2222")
  return address ?? unreadable
}

/** Where a listener can be reached from its own machine. */
function reachable(listen: Address): Address {
  if (listen.host === "0.0.0.0") return { ...listen, host: "127.0.0.1" }
  return listen.host === "::" ? { ...listen, host: "::1" } : listen
}

function readUrl(reading: Reading, path: Path, text: string | undefined): string | undefined {
  if (text === undefined) return undefined
  try {
    return parseHttpUrl(text).href.replace(/\/$/, "")
  } catch (failure) {
    reading.problem(path, (failure as Error).message)
    return undefined
  }
}

function readGatewayKey(reading: Reading, file: ApprovalsFile): ApprovalsConfig["gateway_key"] {
  if (file.gateway_key === undefined) return undefined
  const path: Path = ["approvals", "gateway_key"]
  if (reading.isReference(path) && file.gateway_key.length < limits.gateway_key_chars_min)
    reading.problem(path, `a gateway key has at least ${limits.gateway_key_chars_min} characters: openssl rand -hex 32`)
  return reading.secret(path, file.gateway_key)
}
