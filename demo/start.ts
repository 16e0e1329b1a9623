// `npm start`: Sluice with small real targets behind it, on this machine, from nothing. It makes keys, people and a config on the
// first start, starts the targets as processes of their own, then a Sluice like any other, and prints lines to copy. Ctrl-C ends
// all of it.
import { createWriteStream, writeFileSync } from "node:fs"
import { randomBytes } from "node:crypto"
import { relative } from "node:path"
import { userInfo } from "node:os"
import { protocols } from "../protocols/index.ts"
import { openControl } from "../src/cli/running/control.ts"
import { Reloader } from "../src/cli/running/reloader.ts"
import { start, type Running } from "../src/cli/running/start.ts"
import { reader_mark } from "../src/config/ways_in.ts"
import { loadConfig } from "../src/config/load.ts"
import { generateOpensshKey } from "../src/config/openssh_key.ts"
import { openState } from "../src/config/state.ts"
import { createLog } from "../src/observe/log.ts"
import { nativeCrypto } from "../src/observe/native_crypto.ts"
import { writeConfigFile, type Demo } from "./config_file.ts"
import { databaseUser, kept, openFolder, postgresPrograms, type Folder } from "./folder.ts"
import { keptKey, makePeople, publicHalf, writeSshFiles } from "./people.ts"
import { choosePorts, rememberedPort } from "./ports.ts"
import { startTarget, type Target } from "./target.ts"
import { welcome } from "./welcome.ts"

const drain_ms = 1_000

try {
  await main()
} catch (failure) {
  console.error(`sluice demo: ${(failure as Error).message}`)
  process.exit(1)
}

async function main(): Promise<void> {
  const folder = openFolder()
  const ports = await choosePorts()
  const demo = await prepare(folder, ports)
  console.log("Starting the demo's targets: a PostgreSQL 18, an SSH host, a web application …")
  const stopping: (() => Promise<void>)[] = []
  onEnd(stopping)
  const targets = startTargets(demo)
  for (const target of targets) stopping.unshift(async () => (await target).stop())
  await Promise.all(targets)
  const running = await startSluice(demo)
  stopping.unshift(() => running.drain(drain_ms))
  console.log(welcome({ folder, shown: shown(folder), ports, login: demo.login, native: nativeCrypto() }))
}

async function prepare(folder: Folder, ports: Demo["ports"]): Promise<Demo> {
  const people = makePeople(folder)
  const login = userInfo().username
  const hostCa = publicHalf((await (await openState(folder.path("state"))).keys.private("ssh_host_ca", "ssh-ed25519")).reveal())
  writeSshFiles({ folder, people, port: ports.ssh, login, hostCa })
  const [database, host, app] = await Promise.all(["database", "host", "app"].map((name) => rememberedPort(folder, name)))
  const hostKey = keptKey(folder.path("secrets", "demo_host_key"), "demo-host")
  keptKey(folder.path("secrets", "demo_host_login"), "gateway")
  for (const role of ["readonly", "app", "superuser"]) keptPassword(folder, role)
  const behind = { database: database!, host: host!, app: app! }
  return { folder, ports, people, behind, login, hostKey, askWith: `ssh -F ${shown(folder)}/${reader_mark}/ssh_config gateway` }
}

function keptPassword(folder: Folder, name: string): string {
  return kept(folder.path("secrets", name), () => randomBytes(24).toString("base64url"))
}

function startTargets({ folder, ports, behind, login }: Demo): Promise<Target>[] {
  const secret = (name: string): string => keptPassword(folder, name)
  const databaseSettings = {
    programs: postgresPrograms(folder),
    data: folder.path("database"),
    port: behind.database,
    runAs: databaseUser(),
    superuser: secret("superuser"),
    roles: { readonly: secret("readonly"), app: secret("app") },
  }
  const hostSettings = {
    port: behind.host,
    login,
    hostKey: kept(folder.path("secrets", "demo_host_key"), () => generateOpensshKey("demo-host").private.reveal()),
    gatewayKey: keptKey(folder.path("secrets", "demo_host_login"), "gateway"),
  }
  const appSettings = {
    port: behind.app,
    gateway: `https://localhost:${ports.http}/.well-known/jwks.json`,
    issuer: "https://localhost",
    audience: "https://demo-app.sluice.localhost",
    caFile: folder.path("ca.crt"),
  }
  return [
    startTarget("database", { folder, settings: databaseSettings }),
    startTarget("host", { folder, settings: hostSettings }),
    startTarget("app", { folder, settings: appSettings }),
  ]
}

async function startSluice(demo: Demo): Promise<Running> {
  const { folder } = demo
  const path = writeConfigFile(demo)
  const loaded = await loadConfig(path)
  if (!loaded.ok)
    throw new Error(loaded.problems.map(({ file, line, column, message }) => `${file}:${line}:${column}: ${message}`).join("\n"))
  const log = createLog("info", createWriteStream(folder.path("logs", "sluice.log"), { flags: "a", mode: 0o600 }))
  const running = await start({ config: loaded.config, role: "all", protocols, log })
  writeFileSync(folder.path("ca.crt"), running.ca ?? "")
  // `npx sluice reload --config data/sluice.yaml` tries another config on it.
  const reloader = new Reloader({ path, inUse: loaded, running, log })
  const control = await openControl({ state: running.state, role: "all", reload: () => reloader.reload(), log })
  const drain = async (time_ms_max?: number): Promise<void> => {
    await control.close()
    await running.drain(time_ms_max)
  }
  return { ...running, drain }
}

/** As it is typed from where `npm start` was called. */
function shown(folder: Folder): string {
  const near = relative(process.env["INIT_CWD"] ?? process.cwd(), folder.root)
  return near.startsWith("..") || near === "" ? folder.root : near
}

/** Ctrl-C, or the end of the terminal: the newest first, each as far as it had come. A second time ends at once. */
function onEnd(stopping: readonly (() => Promise<void>)[]): void {
  let asked = false
  const end = (): void => {
    if (asked) process.exit(1)
    asked = true
    console.log("\nEnding: live sessions, then Sluice, then the targets …")
    const all = (async () => {
      for (const stop of stopping) await stop().catch((failure: unknown) => console.error((failure as Error).message))
    })()
    void all.finally(() => process.exit(0))
  }
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.on(signal, end)
}
