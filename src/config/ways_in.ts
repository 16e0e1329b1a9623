// How people reach the gateway and, through it, a target: the lines they paste. Made from the config alone.
import type { Config } from "./config.ts"
import { accountsOf, type Target, type TcpTarget } from "../core/target.ts"

const ssh_port = 22
const https_port = 443
const port_unprivileged = 1024

export interface WaysIn {
  /** "ssh gw.example.com" */
  readonly askWith: string
  /** A line that uses `target` as `account`; undefined for a target there is not, or whose listener is not there. */
  useLine(target: string, account: string | undefined): string | undefined
}

/** Stands in `gateway.ask_with` for the name of who reads the line. */
export const reader_mark = "{user}"

/**
 * How `reader` reaches the gateway by ssh. Undefined, or a name that a shell would read more into: "<you>", for the reader to write
 * their own.
 */
export function askWith({ gateway }: Pick<Config, "gateway">, reader: string | undefined): string {
  const name = reader !== undefined && /^\w[\w.@+-]*$/.test(reader) ? reader : "<you>"
  return gateway.ask_with.replaceAll(reader_mark, () => name)
}

/** Lines for `reader`. */
export function waysIn(config: Config, reader: string | undefined): WaysIn {
  const { gateway, targets } = config
  const way = { config, line: askWith(config, reader) }
  return {
    askWith: way.line,
    useLine(name, account) {
      const target = targets.find((one) => one.name === name)
      const listener = target && gateway[target.protocol === "tcp" ? "ssh" : target.protocol]
      return target && listener ? lineFor(way, target, account ?? accountsOf(target)[0]) : undefined
    },
  }
}

interface Way {
  readonly config: Config
  readonly line: string
}

function lineFor(way: Way, target: Target, account: string | undefined): string {
  const { config, line } = way
  const { gateway } = config
  const token = `$(${line} token ${target.name})`
  switch (target.protocol) {
    case "ssh":
      return `${jumpWith(line)} ${account === undefined ? "" : `${account}@`}${target.name}`
    case "postgres": {
      const user = account === undefined ? "" : ` user=${account}`
      const where = `host=${gateway.name} port=${gateway.postgres?.listen.port} dbname=${target.name}${user}`
      const login = gateway.postgres?.login === "oauth" ? " options='-c sluice.login=token'" : ""
      return `${fetchCa(way)}PGPASSWORD=${token} psql "${where}${login} sslmode=verify-full sslrootcert=${localCa(config) ? ca_file : "system"}"`
    }
    case "tcp":
      return tunnelWith(line, target)
    case "http": {
      const port = gateway.http?.listen.port
      const host = `${target.name}.${gateway.http?.domain}${port === https_port ? "" : `:${port}`}`
      const trust = localCa(config) ? `--cacert ${ca_file} ` : ""
      return `${fetchCa(way)}curl ${trust}-H "Authorization: Bearer ${token}" https://${host}/`
    }
  }
}

/** Whether clients must be given our own CA; otherwise the operator's certificate is one that they trust. */
export const localCa = ({ gateway }: Config): boolean => gateway.tls === undefined

const ca_file = "sluice-ca.crt"
const fetchCa = ({ config, line }: Way): string => (localCa(config) ? `${line} ca > ${ca_file} && ` : "")

/** "ssh -N -L 6379:redis:6379 -p 2222 gw"; a port below 1024 would take root to listen on, so another one is. */
export function tunnelWith(line: string, { name, address: { port } }: TcpTarget): string {
  const words = line.trim().split(/\s+/)
  const [program = "ssh", ...rest] = words
  return [program, "-N", "-L", `${port < port_unprivileged ? port + 10_000 : port}:${name}:${port}`, ...rest].join(" ")
}

/** "ssh -J gw:2222", from "ssh -p 2222 gw"; options that are not about the port stay. */
export function jumpWith(line: string): string {
  const words = line.trim().split(/\s+/)
  const host = words.pop() ?? ""
  const at = words.indexOf("-p")
  const port = at === -1 ? undefined : words.splice(at, 2)[1]
  return [...words, "-J", port === undefined || Number(port) === ssh_port ? host : `${host}:${port}`].join(" ")
}
