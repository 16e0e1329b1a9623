// `approvals.store`: a SQLite file, or a PostgreSQL URL as libpq writes it. It owns what such a URL may say; nothing is connected to.
import { readFileSync } from "node:fs"
import { resolve } from "node:path"
import { Secret } from "../core/secret.ts"
import type { PostgresStoreConfig, StoreConfig } from "./config.ts"
import type { Reading } from "./reading.ts"
import type { Path } from "./source.ts"

const path: Path = ["approvals", "store"]

/** Undefined when the file does not say, or says what cannot be; that is then a problem of `reading`. */
export function readStore(reading: Reading, text: string | undefined, folder: string): StoreConfig | undefined {
  if (text === undefined) return undefined
  if (/^sqlite:./.test(text)) return { kind: "sqlite", path: resolve(folder, text.slice("sqlite:".length)) }
  if (!/^postgres(ql)?:/.test(text)) {
    reading.problem(path, "expected sqlite:path or a PostgreSQL URL, such as postgres://sluice@db.example.com/sluice")
    return undefined
  }
  try {
    const store = parseStoreUrl(text, (file) => reading.once(`sslrootcert=${file}`, () => readFileSync(resolve(folder, file), "utf8")))
    if (store.password && !reading.isReference(path))
      throw new Error("a URL with a password is not written here itself, but as env:NAME, file:path or exec:command")
    return store
  } catch (failure) {
    reading.problem(path, (failure as Error).message)
    return undefined
  }
}

const known = ["sslmode", "sslrootcert", "options", "host"]

/** Throws, with words for the operator in which no password is. */
function parseStoreUrl(text: string, read: (file: string) => string): PostgresStoreConfig {
  const url = URL.canParse(text.trim()) ? new URL(text.trim()) : undefined
  if (!url) throw new Error("this is not a URL; characters such as @ or / in a password are written as %40 and %2F")
  const unknown = [...url.searchParams.keys()].find((name) => !known.includes(name))
  if (unknown !== undefined) throw new Error(`a store's URL takes ${known.join(", ")}; not ${JSON.stringify(unknown)}`)
  const host = url.searchParams.get("host") ?? url.hostname.replace(/^\[|\]$/g, "")
  const database = decodeURIComponent(url.pathname.slice(1))
  if (host === "") throw new Error("a store's URL names a host, such as postgres://sluice@db.example.com/sluice")
  if (database === "") throw new Error("a store's URL names a database, such as postgres://sluice@db.example.com/sluice")
  if (url.username === "") throw new Error("a store's URL names a user, such as postgres://sluice@db.example.com/sluice")
  const port = Number(url.port || 5432)
  return {
    kind: "postgres",
    name: `postgres://${url.hostname === "" ? host : url.host}/${database}`,
    host,
    port,
    user: decodeURIComponent(url.username),
    password: url.password === "" ? undefined : new Secret(decodeURIComponent(url.password)),
    database,
    tls: tlsMode(url.searchParams.get("sslmode"), host),
    ca: readCa(url.searchParams.get("sslrootcert"), read),
    options: url.searchParams.get("options") ?? undefined,
  }
}

function tlsMode(mode: string | null, host: string): PostgresStoreConfig["tls"] {
  // libpq's own default would fall back to plain text when an attacker says so.
  if (mode === null) return host.startsWith("/") || /^(localhost|127\.[\d.]+|::1)$/.test(host) ? "disable" : "verify-full"
  if (mode === "disable" || mode === "require" || mode === "verify-full") return mode
  throw new Error(`sslmode is disable, require or verify-full; not ${JSON.stringify(mode)}`)
}

function readCa(file: string | null, read: (file: string) => string): string | undefined {
  if (file === null) return undefined
  try {
    return read(file)
  } catch (failure) {
    throw new Error(`sslrootcert cannot be read: ${(failure as Error).message}`, { cause: failure })
  }
}
