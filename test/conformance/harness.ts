// A gateway without sockets: the real gate, sessions, lease book, cache and recorder, on a fake clock, with an in-memory wire to
// the client and one to the target. What the approval service would say, the test says.
import assert from "node:assert/strict"
import { existsSync, readFileSync } from "node:fs"
import { join } from "node:path"
import type { Duplex } from "node:stream"
import { createLocalJWKSet } from "jose"
import { generateKeyPairSync } from "node:crypto"
import { createSecureContext } from "node:tls"
import { StatementReader } from "../../src/classify/statement_reader.ts"
import type { ActionRule } from "../../src/core/action_rules.ts"
import { GatewayError } from "../../src/core/errors.ts"
import type { Grant } from "../../src/core/grant.ts"
import { type GrantId, newGrantId, type RequestId, type SessionId } from "../../src/core/ids.ts"
import { Secret } from "../../src/core/secret.ts"
import type { ProtocolName, Target } from "../../src/core/target.ts"
import { openState } from "../../src/config/state.ts"
import { parsePublicKey } from "../../src/config/openssh_key.ts"
import type { AskingService } from "../../src/gateway/control_plane/asking_service.ts"
import type { CarriedProtocol, Host, Protocol, Serve, ServeCarried } from "../../src/gateway/contract.ts"
import { Directory } from "../../src/gateway/control_plane/directory.ts"
import { ClientGate, type Threshold } from "../../src/gateway/gate.ts"
import { GrantCache } from "../../src/gateway/control_plane/grant_cache.ts"
import { LeaseBook } from "../../src/gateway/lease_book.ts"
import { createApiClient } from "../../src/api/client.ts"
import { openServiceDoor } from "../../src/gateway/control_plane/service_door.ts"
import { sessionRules } from "../../src/gateway/actions/session_rules.ts"
import { SessionRegister } from "../../src/gateway/session_register.ts"
import { alone } from "../../src/gateway/siblings.ts"
import { WaitingRoom } from "../../src/gateway/waiting_room.ts"
import { createAuthenticator } from "../../src/identity/authenticator.ts"
import { createTokenIssuer, createTokenVerifier } from "../../src/identity/tokens.ts"
import { createLog } from "../../src/observe/log.ts"
import type { Line } from "../../src/record/events.ts"
import { closedPath, livePath } from "../../src/record/places.ts"
import type { SessionReport } from "../../src/api/schema.ts"
import { FakeClock } from "../support/fake_clock.ts"
import { fillDisk } from "../support/full_disk.ts"
import { person } from "../support/people.ts"
import { scratch } from "../support/scratch.ts"
import { FakeHolds } from "./fake_holds.ts"
import { wire } from "../support/wire.ts"

export type Harness = Awaited<ReturnType<typeof createHarness>>

export interface HarnessOptions {
  readonly protocol: Protocol
  readonly carried?: CarriedProtocol | undefined
  readonly targets: readonly Target[]
  /** The target's side of a connection that the gateway dialled. */
  serveTarget(socket: Duplex, target: Target): void
}

export async function createHarness({ protocol, carried, targets, serveTarget }: HarnessOptions) {
  const clock = new FakeClock()
  const folder = scratch("conformance")
  const state = await openState(join(folder, "state"))
  const alice = person("alice", "engineers")
  const signing = generateKeyPairSync("ec", { namedCurve: "P-256" }).privateKey.export({ type: "pkcs8", format: "pem" }) as string
  const issuer = await createTokenIssuer({ privateKey: new Secret(signing), clock })
  const log = createLog((process.env["SLUICE_TEST_LOG"] ?? "silent") as "silent")
  const reports: SessionReport[] = []
  const feed = { fresh: true }
  /** `onUse`: called as a use is asked for, before the answer. */
  const service = { away: false, begun: 0, used: 0, onUse: () => {} }
  /** What the approval service would answer. */
  const truth = new Map<string, Grant>()
  const cache = new GrantCache({
    lookup: (subject, target) =>
      Promise.resolve([...truth.values()].filter((grant) => grant.subject === subject && grant.target === target)),
  })
  const directory = new Directory({
    person: async (subject) => ({ subject, groups: [...alice.groups], disabled: false, revision: 0 }),
    login: () => Promise.reject(new GatewayError("not_found")),
  })
  const sessions = new SessionRegister(clock, { gateway: "gateway", push: (report) => void reports.push(report) })
  const clients: Duplex[] = []
  const dialled: Duplex[] = []
  const policy: { actions: readonly ActionRule[] } = { actions: [] }
  const reader = new StatementReader()
  const holds = new FakeHolds(clock)
  const ask = (target: string): string => `ssh gateway request ${target}`
  const askingService: AskingService = {
    offer: () => Promise.resolve(null),
    ask: () => Promise.reject(new GatewayError("not_askable")),
    leave: () => Promise.resolve(),
  }
  const carriedInside = new Map<ProtocolName, ServeCarried>()
  const threshold: Threshold = {
    gateway: "gateway",
    clock,
    authenticator: createAuthenticator({
      users: [{ name: alice.name, groups: alice.groups, ssh_keys: [parsePublicKey(alice.publicKey)] }],
      verifier: createTokenVerifier({ keys: createLocalJWKSet(issuer.jwks), clock }),
    }),
    targets: new Map(targets.map((target) => [target.name, target])),
    cache,
    directory,
    feed,
    leases: new LeaseBook(clock),
    sessions,
    recordings: { dir: join(folder, "recordings"), on_failure: "cut" },
    connect: (address) => {
      const target = targets.find((candidate) => candidate.address === address)
      assert(target, "only a target's own address is ever dialled")
      const { near, far } = wire()
      dialled.push(near)
      serveTarget(far, target)
      return { socket: near, connected: Promise.resolve() }
    },
    carried: carriedInside,
    service: {
      begin: (id) =>
        answer(id, (grant) => {
          service.begun++
          return grant.first_use_ms === null ? {} : { ends_at: clock.now() + grant.first_use_ms, first_use_ms: null }
        }),
      certify: () => Promise.reject(new Error("no target here is logged in to by certificate")),
      use: (id) =>
        answer(id, ({ uses_left }) => {
          service.used++
          service.onUse()
          return { uses_left: (uses_left ?? 0) - 1, status: uses_left === 1 ? "spent" : "active" }
        }),
    },
    holds,
    approve: (request) => `ssh gateway approve ${request}`,
    rules: (acting) => sessionRules(() => policy.actions, acting, reader),
    // Nobody may ask for anything, unless a test says so.
    room: new WaitingRoom({ service: askingService, clock, link: String, withdraw: String }),
    asking: askingService,
    ask,
    extend: (grant) => `ssh gateway extend ${grant}`,
    secureContext: () => createSecureContext(),
    asksForCertificates: () => false,
  }
  // Nobody listens there.
  const nowhere = { url: "http://127.0.0.1:1", credential: () => new Secret("no key") }
  const door = openServiceDoor({
    ...nowhere,
    public_url: "https://access.test",
    api: createApiClient(nowhere),
  })
  const host: Host = {
    name: "gateway",
    domain: "gateway",
    stream_bytes_max: 1024 * 1024,
    postgres_login: "token",
    keys: state.keys,
    ask,
    token_line: "ssh -p 2222 gateway token",
    verbs: () => Promise.resolve(0),
    siblings: alone,
    findValues: () => "unknown",
    service: door,
    clock,
    log,
  }
  const serve: Serve = protocol.configure(host)
  if (carried) carriedInside.set(carried.name, carried.configure(host))
  let revision = 0
  /** As the approval service answers a gateway: later, from what is true by then, and so that it stays true. */
  async function answer(id: GrantId, change: (grant: Grant) => Partial<Grant>): Promise<Grant> {
    await new Promise(setImmediate)
    const grant = truth.get(id)
    if (service.away || !grant) throw new GatewayError("stale")
    if (grant.status !== "active" || clock.now() >= grant.ends_at) throw new GatewayError("over")
    const changed = { ...grant, ...change(grant), revision: ++revision }
    truth.set(id, changed)
    cache.apply(changed)
    sessions.update(changed, {})
    return changed
  }

  const recordings = join(folder, "recordings")
  /** While it is written, and after it was closed. */
  const recordingPath = (id: SessionId): string => {
    const started = reports.find((report) => report.event === "started" && report.session.id === id)
    assert(started?.event === "started")
    const live = livePath(recordings, id)
    return existsSync(live) ? live : closedPath(recordings, id, started.session.started_at)
  }

  return {
    clock,
    alice,
    issuer,
    host,
    directory,
    feed,
    service,
    policy,
    holds,
    sessions,
    reports,
    dialled,
    /** A client's end of a new connection, and how serving it went. */
    connect(): { client: Duplex; served: Promise<void> } {
      const { near, far } = wire()
      clients.push(near)
      const gate = new ClientGate({ threshold, protocol: protocol.name, address: "127.0.0.1:50000", log, onSettled: () => {} })
      const served = serve(far, gate).finally(() => far.destroy())
      served.catch(() => {})
      return { client: near, served }
    },
    grant(target: string, changes: Partial<Grant> = {}): Grant {
      const grant: Grant = {
        id: newGrantId(),
        request: 1 as RequestId,
        subject: alice.name,
        target,
        as: null,
        starts_at: clock.now(),
        ends_at: clock.now() + 3_600_000,
        status: "active",
        revision: ++revision,
        first_use_ms: null,
        actions: null,
        uses_left: null,
        ...changes,
      }
      truth.set(grant.id, grant)
      cache.apply(grant)
      return grant
    },
    /** A newer revision arrives by the feed. */
    change(grant: Grant, changes: Partial<Grant>): Grant {
      const changed = { ...grant, ...changes, revision: ++revision }
      truth.set(grant.id, changed)
      cache.apply(changed)
      sessions.update(changed, { by: "bob@example.com", reason: "test" })
      return changed
    },
    /** The session that was opened last. */
    lastSession(): SessionId {
      const started = reports.findLast((report) => report.event === "started")
      assert(started?.event === "started", "no session was opened")
      return started.session.id
    },
    close(): void {
      for (const end of [...clients, ...dialled]) end.destroy()
    },
    /** From now on nothing more can be written to the last session's recording. */
    breakRecordings(): void {
      fillDisk(recordingPath(this.lastSession()))
    },
    /** What is on record for a session at this moment, as another process would read it. */
    recording(id: SessionId): readonly Line[] {
      return readFileSync(recordingPath(id), "utf8")
        .split("\n")
        .filter(Boolean)
        .map((line) => JSON.parse(line) as Line)
    },
  }
}
