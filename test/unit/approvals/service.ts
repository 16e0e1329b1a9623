// A running approval service for tests: its own folder, port 0, the fake clock, and people with tokens of the real issuer.
import assert from "node:assert/strict"
import { generateKeyPairSync } from "node:crypto"
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import type { TestContext } from "node:test"
import { type Approvals, startApprovals } from "../../../src/approvals/approvals.ts"
import type { AskableTarget, GrantView, RequestView, SessionView } from "../../../src/api/schema.ts"
import { generateOpensshKey } from "../../../src/config/openssh_key.ts"
import type { AccessRule, Config, PeopleApprove } from "../../../src/config/config.ts"
import type { Keys } from "../../../src/core/keys.ts"
import { Secret } from "../../../src/core/secret.ts"
import { type Target, usual_env } from "../../../src/core/target.ts"
import { createTokenIssuer } from "../../../src/identity/tokens.ts"
import { createLog } from "../../../src/observe/log.ts"
import { FakeClock } from "../../support/fake_clock.ts"
import { giveBack, newStore, query } from "../../support/store.ts"
import { actionRule } from "../../support/action_rule.ts"

export const hour = 3_600_000
export const gatewayKey = "a-gateway-key-of-the-tests"

const address = { host: "127.0.0.1", port: 1 }
const ssh = {
  protocol: "ssh",
  logins: ["deploy", "root"],
  auth: { password: new Secret("x") },
  sftp: "all",
  record: { digests: true },
  allow: { shell: true, exec: true, local_forward: [], remote_forward: [], agent: false, env: [...usual_env] },
  hostKeys: ["ssh-ed25519 AAAA"],
  hostCas: [],
  address,
} as const
const targets: readonly Target[] = [
  { ...ssh, name: "prod-host", auth: { certificate: true }, labels: { env: "prod" } },
  { ...ssh, name: "two-keys", labels: { env: "vault" } },
  { ...ssh, name: "deploy-only", labels: { env: "limited" } },
  { ...ssh, name: "nobody-may", labels: { env: "secret" } },
  { protocol: "http", name: "grafana", labels: { env: "dev" }, url: new URL("http://127.0.0.1:1"), ca: undefined, address },
]
/** So many of these must approve. */
export const by = (names: readonly string[], count = 1): PeopleApprove => ({ plan: { order: "sequence", steps: [{ by: names, count }] } })
const people = by(["oncall"])
const rule = { as: undefined, pending_ms: 24 * hour, max_ms: 4 * hour, reason_required: false, actions: null, first_use_ms_max: 24 * hour }
const access: readonly AccessRule[] = [
  { ...rule, who: ["carol@example.com"], targets: { names: ["grafana"] }, approve: "auto", max_ms: hour },
  { ...rule, who: ["engineers", "oncall"], targets: { labels: { env: "prod" } }, approve: people, reason_required: true },
  { ...rule, who: ["engineers", "oncall"], targets: { names: ["two-keys"] }, approve: by(["oncall", "dana@example.com"], 2) },
  { ...rule, who: ["engineers"], targets: { names: ["deploy-only"] }, approve: people, as: ["deploy"] },
  { ...rule, who: ["engineers"], targets: { names: ["grafana"] }, approve: "auto", max_ms: 400 * 24 * hour },
]

/** A rule that holds every action. */
export const holdRule = actionRule({ approve: { by: ["oncall"], count: 1 }, within_ms: hour / 4 })

/** alice and carol ask; bob and erin are on call; dana administers; frank has no rights at all. */
export function testConfig(folder: string, change: Partial<Config> = {}): Config {
  const user = (name: string, ...groups: string[]) => ({ name: `${name}@example.com`, groups, ssh_keys: [] })
  return {
    state: folder,
    gateway: {
      name: "gw",
      ask_with: "ssh gw",
      ssh: undefined,
      postgres: undefined,
      http: undefined,
      tls: undefined,
      health: undefined,
      workers: 1,
    },
    approvals: {
      listen: { host: "127.0.0.1", port: 0 },
      url: "http://127.0.0.1",
      public_url: "http://127.0.0.1",
      store: { kind: "sqlite", path: join(folder, "sluice.db") },
      gateway_key: undefined,
      gateways: undefined,
    },
    identity: {
      users: [
        user("alice", "engineers"),
        user("carol", "engineers"),
        user("bob", "oncall"),
        user("erin", "oncall"),
        user("dana", "admins"),
        user("frank"),
        user("gina", "auditors"),
      ],
      ssh_cas: [],
      workloads: [],
      certificate_ms: 12 * hour,
      certificate_from: [],
    },
    targets,
    policy: { access, actions: [], admins: ["admins"], auditors: ["auditors"] },
    recordings: { dir: join(folder, "recordings"), on_failure: "cut", stream_bytes_max: 1 },
    notify: [],
    ...change,
  }
}

/** Whatever an answer may hold; a test reads what its route gives. */
export interface Body {
  readonly code: string
  readonly message: string
  readonly id: string | number
  readonly status: string
  readonly as: readonly string[] | null
  readonly grant: GrantView | null
  readonly decisions: RequestView["decisions"]
  readonly approvals_needed: number
  readonly may_decide: boolean
  readonly rule: string
  readonly reason: string
  readonly ended_by: string
  readonly ends_at: number
  readonly first_use_ms: number | null
  readonly uses_left: number | null
  readonly actions: readonly string[] | null
  readonly extends_grant: string | null
  readonly extends_to: number | null
  readonly requests: readonly RequestView[]
  readonly grants: readonly GrantView[]
  readonly sessions: readonly SessionView[]
  readonly targets: readonly AskableTarget[]
  readonly sequence: number
  readonly token: string
}

export interface Reply {
  readonly status: number
  readonly body: Body
}

export interface Service {
  readonly url: string
  readonly clock: FakeClock
  readonly config: Config
  readonly log: string[]
  token(name: string): Promise<string>
  /** A call as `who`: a person's short name, "gateway", or undefined for nobody. */
  call(who: string | undefined, line: string, body?: unknown, init?: RequestInit): Promise<Reply>
  /** Files alice's usual question. */
  ask(body?: object, who?: string): Promise<Reply>
  restart(change?: Partial<Config>): Promise<void>
  /** As SIGHUP does. */
  reload(change: Partial<Config>): Promise<void>
  /** One statement on its store, past the service. */
  query(sql: string): Promise<Record<string, unknown>[]>
}

const p256_pem = {
  namedCurve: "P-256",
  privateKeyEncoding: { type: "pkcs8", format: "pem" },
  publicKeyEncoding: { type: "spki", format: "pem" },
} as const

export async function startService(t: TestContext, change: Partial<Config> = {}, clock = new FakeClock()): Promise<Service> {
  const folder = mkdtempSync(join(tmpdir(), "sluice-approvals-"))
  const lines: string[] = []
  const log = createLog("debug", { write: (line: string) => void lines.push(line) } as unknown as NodeJS.WritableStream)
  const pem = generateKeyPairSync("ec", { namedCurve: "P-256" }).privateKey.export({ type: "pkcs8", format: "pem" }).toString()
  const made = new Map([["token_signing", new Secret(pem)]])
  const keys: Keys = {
    async private(name, kind) {
      const p256 = (): Secret => new Secret(generateKeyPairSync("ec", p256_pem).privateKey)
      if (!made.has(name)) made.set(name, kind === "p256" ? p256() : generateOpensshKey(name).private)
      return made.get(name)!
    },
  }
  const issuer = await createTokenIssuer({ privateKey: new Secret(pem), clock })
  const plain = testConfig(folder)
  const store = change.approvals?.store ?? (await newStore())
  let config = testConfig(folder, { ...change, approvals: { ...plain.approvals, ...change.approvals, store } })
  let running: Approvals | undefined
  const start = async (): Promise<void> => {
    running = await startApprovals({ config, keys, gatewayKey: new Secret(gatewayKey), clock, log })
  }
  t.after(async () => {
    await running?.close()
    if (change.approvals?.store === undefined) await giveBack(store)
    rmSync(folder, { recursive: true, force: true })
  })
  await start()
  const service: Service = {
    get url() {
      assert(running)
      return `http://${running.address.host}:${running.address.port}`
    },
    clock,
    get config() {
      return config
    },
    log: lines,
    token: async (name) => (await issuer.issue({ subject: `${name}@example.com`, via: "test", use: "api" })).token,
    async call(who, line, body, init = {}) {
      const [method = "GET", path = "/"] = line.split(" ")
      const credential = who === undefined ? undefined : who === "gateway" ? gatewayKey : await service.token(who)
      const headers = {
        ...(credential === undefined ? {} : { authorization: `Bearer ${credential}` }),
        ...(body === undefined ? {} : { "content-type": "application/json" }),
      }
      const sent = body === undefined ? {} : { body: typeof body === "string" ? body : JSON.stringify(body) }
      const response = await fetch(service.url + path, { method, headers, ...sent, ...init })
      const text = await response.text()
      return { status: response.status, body: JSON.parse(text) as Body }
    },
    ask: (body = {}, who = "alice") =>
      service.call(who, "POST /v1/requests", { target: "prod-host", duration_ms: hour, reason: "INC-7: pods crash", ...body }),
    async restart(change = {}) {
      await running?.close()
      config = { ...config, ...change }
      await start()
    },
    async reload(change) {
      assert(running)
      config = { ...config, ...change }
      await running.reload(config, { digest: "0".repeat(64), words: ["a change of the test's"] })
    },
    query: (sql) => query(config.approvals.store, sql),
  }
  return service
}
