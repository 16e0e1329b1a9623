// A real Sluice for a test, in this process (quick) or as a child (to be killed), with short ways to ask and approve. What the
// gateway itself does about people is done through its front door: only tokens are fetched as a gateway would.
//
//   const sluice = await startSluice({ users: [alice, bob], targets: [postgresTarget("orders", postgres)] })
//   await sluice.grant(alice, "orders", { by: bob, for: "1h" })
//   await run("psql", [`host=127.0.0.1 port=${sluice.port("postgres")} …`], { env: { PGPASSWORD: await sluice.token(alice, "orders") } })
//   await run("ssh", [...sluice.ssh(alice), "-J", "gateway", "root@prod-host", "true"])
//   await sluice.stop()
import { existsSync, readFileSync, readdirSync } from "node:fs"
import { join } from "node:path"
import { type ApiClient, createApiClient } from "../../src/api/client.ts"
import type { GrantView, SessionView } from "../../src/api/schema.ts"
import { loadConfig } from "../../src/config/load.ts"
import { parseDuration } from "../../src/core/duration.ts"
import { Secret } from "../../src/core/secret.ts"
import type { Address } from "../../src/core/target.ts"
import type { AnyProtocol } from "../../src/gateway/contract.ts"
import type { Line } from "../../src/record/events.ts"
import { type Role, start } from "../../src/cli/running/start.ts"
import { createLog } from "../../src/observe/log.ts"
import type { Person } from "./people.ts"
import { type Program, launch } from "./run.ts"
import { scratch } from "./scratch.ts"
import { gatewayKey, type SluiceSetup, writeConfig } from "./sluice_config.ts"
import { sshOptions } from "./ssh_options.ts"
import { LineSink } from "./line_sink.ts"
import { eventually } from "./wait.ts"

export type ListenerName = "ssh" | "postgres" | "http" | "approvals" | "health"
export type Addresses = Partial<Readonly<Record<ListenerName, Address>>>

export interface SluiceOptions extends Omit<SluiceSetup, "folder"> {
  /** Left out: a new one. */
  readonly folder?: string
  readonly role?: Role
  /** In this process only; left out: all there are. */
  readonly protocols?: readonly AnyProtocol[]
  /** As a child only: options of Node's, such as --cpu-prof. */
  readonly nodeArgs?: readonly string[]
  /** As a child only: a program that starts it, such as `["prlimit", "--fsize=65536"]`. */
  readonly through?: readonly string[]
}

export interface GrantOptions {
  readonly by: Person
  /** "1h", "3s" */
  readonly for: string
  readonly as?: readonly string[]
  readonly reason?: string
  readonly actions?: readonly string[]
  readonly uses?: number
  readonly first_use_within_ms?: number
}

/** What both kinds have. */
export class Sluice {
  readonly folder: string
  readonly configFile: string
  readonly addresses: Addresses
  /** The child, when it is one. */
  readonly program: Program | undefined
  readonly #log: () => string
  readonly #stop: () => Promise<void>
  readonly #clients = new Set<ApiClient>()
  readonly #approvalsUrl: string | undefined

  constructor(made: {
    folder: string
    configFile: string
    addresses: Addresses
    program?: Program
    log: () => string
    stop: () => Promise<void>
    approvalsUrl?: string
  }) {
    this.folder = made.folder
    this.configFile = made.configFile
    this.addresses = made.addresses
    this.program = made.program
    this.#log = made.log
    this.#stop = made.stop
    this.#approvalsUrl = made.approvalsUrl
  }

  /** All on 127.0.0.1. */
  port(listener: ListenerName): number {
    const address = this.addresses[listener]
    if (!address) throw new Error(`nothing listens for ${listener}`)
    return address.port
  }

  /** The CA file that clients of the gateway trust. */
  get caFile(): string {
    return join(this.folder, "state/tls/ca.crt")
  }

  /** The log so far: one JSON object a line. */
  log(): string {
    return this.#log()
  }

  /**
   * The first words of an ssh, scp or sftp command of this person's: `ssh(alice)`, then "gateway" or "-J", "gateway", …
   * `trust`: lines of known_hosts; nothing else is trusted then.
   */
  ssh(person: Person, trust?: string): string[] {
    return sshOptions({ person, port: this.port("ssh"), folder: this.folder, ...(trust === undefined ? {} : { trust }) })
  }

  /** The approval API as this person. */
  api(person: Person): ApiClient {
    const credential = async (): Promise<Secret> => new Secret(await this.#issue(person, { use: "api" }))
    return this.#client(credential)
  }

  /** What this person shows to PostgreSQL or HTTP; good for `target` alone, or for all of them. */
  token(person: Person, target?: string): Promise<string> {
    return this.#issue(person, target === undefined ? { use: "targets" } : { use: "target", target })
  }

  /** Asks as `person`, approves as `by`; the grant. */
  async grant(person: Person, target: string, options: GrantOptions): Promise<GrantView> {
    const duration_ms = parseDuration(options.for)
    if (duration_ms === undefined) throw new Error(`not a duration: ${options.for}`)
    const { by, for: _for, as, actions, reason = "a test", ...more } = options
    const body = { target, duration_ms, reason, ...more, ...(as ? { as: [...as] } : {}), ...(actions ? { actions: [...actions] } : {}) }
    const asked = await this.api(person).call("ask", { body })
    const { grant } = await this.api(by).call("approve", { id: asked.id, body: {} })
    if (!grant) throw new Error("approved, and no grant")
    return grant
  }

  revoke(grant: GrantView, by: Person, reason = "a test"): Promise<GrantView> {
    return this.api(by).call("revoke", { id: grant.id, body: { reason } })
  }

  /** The sessions this person may see. */
  async sessions(person: Person, live = false): Promise<SessionView[]> {
    return (await this.api(person).call("sessions", { query: live ? { live } : {} })).sessions
  }

  /** Ids of the sessions that have a recording, live ones too. */
  recorded(): string[] {
    return [...this.#recordings().keys()]
  }

  /** The lines of one recording; half a line at the end is left out. */
  recording(session: string): Line[] {
    const lines = (this.#read(session) ?? this.#read(session))?.split("\n")
    if (!lines) throw new Error(`no recording of ${session}`)
    return lines.slice(0, -1).map((line) => JSON.parse(line) as Line)
  }

  /** Undefined when there is none, or it has moved from the live ones to its day meanwhile, which it does once. */
  #read(session: string): string | undefined {
    const path = this.#recordings().get(session)
    try {
      return path && readFileSync(path, "utf8")
    } catch (failure) {
      if ((failure as NodeJS.ErrnoException).code === "ENOENT") return undefined
      throw failure
    }
  }

  /** Ends it gracefully; what it made stays until the process ends. */
  async stop(): Promise<void> {
    for (const client of this.#clients) await client.close()
    this.#clients.clear()
    await this.#stop()
  }

  #recordings(): Map<string, string> {
    const folder = join(this.folder, "state/recordings")
    const names = existsSync(folder) ? readdirSync(folder, { recursive: true, encoding: "utf8" }) : []
    return new Map(
      names.flatMap((name) => {
        const session = /(s_[0-9a-z]{16})[^/]*\.ndjson$/.exec(name)?.[1]
        return session === undefined ? [] : [[session, join(folder, name)]]
      }),
    )
  }

  #client(credential: () => Secret | Promise<Secret>): ApiClient {
    const url = this.#approvalsUrl ?? `http://127.0.0.1:${this.port("approvals")}`
    const client = createApiClient({ url, credential })
    this.#clients.add(client)
    return client
  }

  async #issue(person: Person, wanted: { use: "api" } | { use: "targets" } | { use: "target"; target: string }): Promise<string> {
    const gateway = this.#client(() => new Secret(gatewayKey))
    const { token } = await gateway.call("token", { body: { subject: person.name, via: "a test", ...wanted } })
    return token
  }
}

/** In this process. */
export async function startSluice(options: SluiceOptions): Promise<Sluice> {
  const folder = options.folder ?? scratch("sluice")
  const configFile = writeConfig({ ...options, folder })
  const sink = new LineSink()
  const log = createLog("debug", sink)
  const protocols = options.protocols ?? (await import("../../protocols/index.ts")).protocols
  const loaded = await loadConfig(configFile)
  if (!loaded.ok) throw new Error(loaded.problems.map(({ line, message }) => `${configFile}:${line}: ${message}`).join("\n"))
  const running = await start({ config: loaded.config, role: options.role ?? "all", protocols, log })
  return new Sluice({
    folder,
    configFile,
    addresses: running.addresses,
    log: () => sink.text,
    stop: () => running.drain(0),
    ...urlOf(options),
  })
}

/** As a child: `sluice start --config …`, as a user runs it. */
export async function spawnSluice(options: SluiceOptions): Promise<Sluice> {
  const folder = options.folder ?? scratch("sluice")
  const configFile = writeConfig({ ...options, folder })
  const { role = "all" } = options
  const main = join(import.meta.dirname, "../../src/main.ts")
  const words = [
    ...(options.through ?? []),
    process.execPath,
    ...(options.nodeArgs ?? []),
    main,
    "start",
    "--config",
    configFile,
    "--role",
    role,
  ]
  const program = launch(words[0] ?? process.execPath, words.slice(1), { background: true })
  const names: readonly ListenerName[] =
    role === "all"
      ? ["ssh", "postgres", "http", "approvals", "health"]
      : role === "approvals"
        ? ["approvals"]
        : ["ssh", "postgres", "http", "health"]
  const addresses = await eventually("sluice to listen", () => {
    const heard = listening(program.stderr)
    return !program.running || names.every((name) => heard[name]) ? heard : undefined
  })
  if (!program.running) throw new Error(`sluice ended at its start:\n${program.stdout}${program.stderr}`)
  return new Sluice({
    folder,
    configFile,
    addresses,
    program,
    log: () => program.stderr,
    stop: async () => void (await program.stop()),
    ...urlOf(options),
  })
}

const urlOf = (options: SluiceOptions): { approvalsUrl?: string } =>
  typeof options.approvals?.["url"] === "string" ? { approvalsUrl: options.approvals["url"] } : {}

/** From the log: each listener says where it listens. */
function listening(log: string): Addresses {
  const heard: Partial<Record<ListenerName, Address>> = {}
  for (const line of log.split("\n")) {
    if (!line.startsWith("{") || !line.includes('"listening"')) continue
    const said = JSON.parse(line) as { listener: ListenerName; host: string; port: number }
    heard[said.listener] = { host: said.host, port: said.port }
  }
  return heard
}
