// The section `targets`: what can be reached, and the credentials the gateway uses there.
import { X509Certificate } from "node:crypto"
import { destinationPattern, type DestinationPattern } from "../core/destination.ts"
import { formatDuration, parseDuration } from "../core/duration.ts"
import { limits } from "../core/limits.ts"
import { parsePattern } from "../core/pattern.ts"
import { parseColumn } from "../core/protected_column.ts"
import { Secret } from "../core/secret.ts"
import type { Address, HttpTarget, PostgresTarget, SshRecord, SshTarget, Target } from "../core/target.ts"
import { isLabel, parseAddress, parseHttpUrl } from "./address.ts"
import { readPostgresRoles } from "./postgres_roles.ts"
import type { Reading } from "./reading.ts"
import { part } from "./schema.ts"
import type { TargetFile } from "./schema.ts"
import { checkPrivateKey, parsePublicKey } from "./openssh_key.ts"
import { readSize } from "./size.ts"
import type { Path } from "./source.ts"

export interface Targets {
  readonly targets: readonly Target[]
  /** Also those of targets that could not be read, so that rules which name them are not blamed. */
  readonly names: readonly string[]
}

export function readTargets(reading: Reading): Targets {
  reading.section(part.targets, ["targets"])
  const targets: Target[] = []
  const names: string[] = []
  for (let index = 0; index < reading.countAt(["targets"]); index++) {
    const target = readTarget(reading, ["targets", index])
    if (target) targets.push(target)
    const path: Path = ["targets", index, "name"]
    const name = reading.at(path)
    if (typeof name !== "string") continue
    if (names.includes(name)) reading.problem(path, `${reading.written(path)} is the name of another target already`)
    names.push(name)
  }
  return { targets, names }
}

const protocols = ["ssh", "postgres", "http", "tcp"] as const

function readTarget(reading: Reading, path: Path): Target | undefined {
  const file = reading.section(part.target, path)
  if (!file) return undefined
  if (!isLabel(file.name)) reading.problem([...path, "name"], "lower case letters, digits and - make a target's name, as in a host name")
  const [protocol, ...more] = protocols.filter((name) => file[name] !== undefined)
  if (more.length > 0) reading.problem(path, `a target has one of ${protocols.join(", ")}; here are ${[protocol, ...more].join(" and ")}`)
  const ask = readAsk(reading, [...path, "ask"], file.ask)
  const common = { name: file.name, labels: file.labels, ...(ask === undefined ? {} : { ask }) }
  if (file.ssh) return { ...common, ...readSsh(reading, [...path, "ssh"], file.ssh) }
  if (file.postgres) return { ...common, ...readPostgres(reading, [...path, "postgres"], file.postgres) }
  if (file.http) return { ...common, ...readHttp(reading, [...path, "http"], file.http) }
  if (file.tcp) return { ...common, protocol: "tcp", address: readAddress(reading, [...path, "tcp", "address"], file.tcp.address) }
  // An unknown key, or one that could not be read, was told already, and was probably meant to say it.
  const keys = Object.keys(Object(reading.at(path)))
  if (keys.every((key) => key === "name" || key === "labels" || key === "ask"))
    reading.problem(path, `a target says how it is reached: one of ${protocols.join(", ")} is missing`)
  return undefined
}

type Rest<T> = Omit<T, "name" | "labels" | "ask">
type Written<Name extends keyof TargetFile> = NonNullable<TargetFile[Name]>

function readAsk(reading: Reading, path: Path, file: TargetFile["ask"]): Target["ask"] {
  if (file === undefined || file === "off") return file
  const wait_ms = parseDuration(file.wait)
  if (wait_ms === undefined || wait_ms < 1_000 || wait_ms > limits.ask_wait_ms_max)
    reading.problem([...path, "wait"], `expected a duration from 1s to ${formatDuration(limits.ask_wait_ms_max)}, such as 10m`)
  return { wait_ms: wait_ms ?? limits.ask_wait_ms, unasked: file.unasked }
}

const nowhere: Address = { host: "", port: 0 }
const nothing = new Secret("")

function readAddress(reading: Reading, path: Path, text: string): Address {
  const address = parseAddress(text, 1)
  if (!address) reading.problem(path, "expected host:port, such as 10.0.0.5:22")
  return address ?? nowhere
}

function readSsh(reading: Reading, path: Path, file: Written<"ssh">): Rest<SshTarget> {
  for (const [index, login] of file.logins.entries()) {
    // "@" and "%" would read as the target's name in `ssh login@target@gateway`.
    if (!/^[A-Za-z0-9_][A-Za-z0-9_.-]{0,31}\$?$/.test(login))
      reading.problem([...path, "logins", index], "letters, digits and _ . - make a login")
  }
  if (file.host_key === undefined && file.host_ca === undefined)
    reading.problem(path, "say how the host is known: host_key, or host_ca where a CA certifies its key")
  return {
    protocol: "ssh",
    address: readAddress(reading, [...path, "address"], file.address),
    logins: [...new Set(file.logins)],
    auth: readAuth(reading, [...path, "auth"], file.auth),
    sftp: file.sftp,
    allow: readAllowed(reading, [...path, "allow"], file.allow),
    record: readRecord(reading, [...path, "record"], file.record),
    hostKeys: readKeys(reading, [...path, "host_key"], file.host_key),
    hostCas: readKeys(reading, [...path, "host_ca"], file.host_ca),
  }
}

function readKeys(reading: Reading, path: Path, written: string | readonly string[] | undefined): string[] {
  return [written ?? []].flat().map((line, index) => {
    attempt(reading, typeof written === "string" ? path : [...path, index], () => parsePublicKey(line))
    return line.trim()
  })
}

function readAllowed(reading: Reading, path: Path, file: Written<"ssh">["allow"]): SshTarget["allow"] {
  const patterns = (key: "local_forward" | "remote_forward"): DestinationPattern[] => {
    const written = file[key] ?? []
    return [written].flat().flatMap((text, index) => {
      const at = typeof written === "string" ? [...path, key] : [...path, key, index]
      return attempt(reading, at, () => destinationPattern(text)) ?? []
    })
  }
  const { shell, exec, agent, env } = file
  env.forEach((name, index) =>
    attempt(reading, [...path, "env", index], () => {
      if (!/^[A-Za-z_][A-Za-z0-9_]{0,63}\*?$/.test(name)) throw new Error("expected the name of a variable, or how it begins and a *")
    }),
  )
  return { shell, exec, agent, env, local_forward: patterns("local_forward"), remote_forward: patterns("remote_forward") }
}

function readRecord(reading: Reading, path: Path, { digests, ...sizes }: Written<"ssh">["record"]): SshTarget["record"] {
  const record: { -readonly [Stream in keyof SshRecord]?: SshRecord[Stream] } = {}
  for (const stream of ["stdin", "stdout", "stderr"] as const) {
    const written = sizes[stream]
    if (written !== undefined) record[stream] = readSize(reading, [...path, stream], written)
  }
  return { ...record, digests }
}

function readAuth(reading: Reading, path: Path, auth: Written<"ssh">["auth"]): SshTarget["auth"] {
  if (auth === "certificate") return { certificate: true }
  const { key, password } = auth
  if ((key === undefined) === (password === undefined)) reading.problem(path, "write either key or password")
  if (key !== undefined) {
    const secret = reading.secret([...path, "key"], key)
    if (secret) attempt(reading, [...path, "key"], () => checkPrivateKey(secret))
    if (secret) return { key: secret }
  }
  const secret = password === undefined ? undefined : reading.secret([...path, "password"], password)
  return { password: secret ?? nothing }
}

function readPostgres(reading: Reading, path: Path, file: Written<"postgres">): Rest<PostgresTarget> {
  for (const [index, database] of [file.database, ...file.databases].entries())
    if (/[\p{Cc}/]/u.test(database))
      reading.problem(index === 0 ? [...path, "database"] : [...path, "databases", index - 1], "not the name of a database")
  if (file.ca !== undefined && file.tls !== "verify-full") reading.problem([...path, "ca"], "a CA is only looked at with tls: verify-full")
  return {
    protocol: "postgres",
    address: readAddress(reading, [...path, "address"], file.address),
    database: file.database,
    databases: file.databases,
    pooler: file.pooler,
    tls: file.tls,
    ca: readCa(reading, [...path, "ca"], file.ca),
    ...readPostgresRoles(reading, path, file),
    redact: readRedact(reading, [...path, "redact"], file.redact),
    startup: { options: file.startup.includes("options"), replication: file.startup.includes("replication") },
  }
}

function readRedact(reading: Reading, path: Path, file: Written<"postgres">["redact"]): PostgresTarget["redact"] {
  const all = (where: Path, written: readonly string[]) =>
    written.flatMap((one, index) => attempt(reading, [...where, index], () => parsePattern(one)) ?? [])
  if (Array.isArray(file)) return { patterns: all(path, file), values: undefined }
  const columns = file.columns.flatMap((one, index) => attempt(reading, [...path, "columns", index], () => parseColumn(one)) ?? [])
  const values = columns.length === 0 ? undefined : { columns, unsure: file.unsure }
  return { patterns: all([...path, "patterns"], file.patterns), values }
}

function readHttp(reading: Reading, path: Path, file: Written<"http">): Rest<HttpTarget> {
  const url = attempt(reading, [...path, "url"], () => {
    const parsed = parseHttpUrl(file.url)
    if (parsed.pathname !== "/") throw new Error("a target's URL has no path: what a client asks for is passed on as it is")
    return parsed
  })
  if (url?.protocol === "http:" && file.ca !== undefined) reading.problem([...path, "ca"], "a CA is only looked at with https")
  const host = url?.hostname.replace(/^\[|\]$/g, "") ?? ""
  const port = Number(url?.port || (url?.protocol === "https:" ? 443 : 80))
  return {
    protocol: "http",
    url: url ?? new URL("http://invalid"),
    address: { host, port },
    ca: readCa(reading, [...path, "ca"], file.ca),
    ...(file.escaped_slashes === "pass" ? { escaped_slashes: "pass" } : {}),
  }
}

function readCa(reading: Reading, path: Path, ca: string | undefined): string | undefined {
  if (ca === undefined) return undefined
  attempt(reading, path, () => {
    if (!isCertificate(ca)) throw new Error("this is not a certificate in PEM; to name a file, write file:ca.crt")
  })
  return ca
}

function isCertificate(pem: string): boolean {
  try {
    return new X509Certificate(pem).subject !== undefined
  } catch {
    return false
  }
}

/** Runs a check whose Error is words for the operator; undefined when it threw. */
function attempt<T>(reading: Reading, path: Path, check: () => T): T | undefined {
  try {
    return check()
  } catch (failure) {
    reading.problem(path, (failure as Error).message)
    return undefined
  }
}
