// The approval service: the control plane in one value. It puts the parts together and owns their beginning and end; read
// `requests/requests.ts` for what it does.
import { hostname } from "node:os"
import { setImmediate as nextTurn } from "node:timers/promises"
import type { Config } from "../config/config.ts"
import type { CurrentConfig } from "../config/current_config.ts"
import { Kept } from "../config/kept.ts"
import { waysIn } from "../config/ways_in.ts"
import type { Clock } from "../core/clock.ts"
import type { Keys } from "../core/keys.ts"
import { newServiceId } from "../core/ids.ts"
import { limits } from "../core/limits.ts"
import type { Secret } from "../core/secret.ts"
import { accountsOf, type Address } from "../core/target.ts"
import { gatewayPublicKey } from "../identity/gateway_assertion.ts"
import { createWorkloadVerifier } from "../identity/workload_tokens.ts"
import { rememberTokens } from "../identity/remembered_tokens.ts"
import { createTokenVerifier } from "../identity/tokens.ts"
import type { Log } from "../observe/log.ts"
import { askingRoutes } from "./requests/asking_routes.ts"
import { Audit } from "./audit.ts"
import { Authorities } from "./authorities/authorities.ts"
import { Callers } from "./callers.ts"
import { Certificates } from "./authorities/certificates.ts"
import { Disabling } from "./people/disabling.ts"
import { Feed } from "./feed.ts"
import { GatewayCredentials } from "./gateways/gateway_credentials.ts"
import { GatewayRefusals } from "./gateways/gateway_refusals.ts"
import { gatewayRoutes } from "./gateways/gateway_routes.ts"
import { GrantUses } from "./grants/grant_uses.ts"
import { Gateways } from "./gateways/gateways.ts"
import { GatewayWatch } from "./gateways/gateway_watch.ts"
import { Grants } from "./grants/grants.ts"
import { Holds } from "./requests/holds.ts"
import { Estimates } from "./requests/estimates.ts"
import { loginParts } from "./login/login_parts.ts"
import { loginGatewayRoutes, loginPersonRoutes } from "./login/login_routes.ts"
import { Logins } from "./login/logins.ts"
import { Notifier } from "./notifications/notifier.ts"
import { SlackAnswers } from "./notifications/slack_answers.ts"
import { openApi } from "./openapi.ts"
import { People } from "./people/people.ts"
import { personRoutes } from "./person_routes.ts"
import { PublicPlace } from "./public_place.ts"
import { type AboutConfig, Reloading } from "./reloading.ts"
import { Requests } from "./requests/requests.ts"
import { createServer } from "./server.ts"
import { Sessions } from "./grants/sessions.ts"
import { openStore } from "./store/open_store.ts"
import type { EventKind, Store } from "./store.ts"
import { SharedOnce } from "./shared_once.ts"
import { Sweeper } from "./sweeper.ts"
import { TargetCertificates } from "./authorities/target_certificates.ts"
import { WorkloadLogins } from "./login/workload_logins.ts"
import { TokenKeys } from "./authorities/token_keys.ts"
import { Waiting } from "./requests/waiting.ts"
import { Waiters } from "./requests/waiters.ts"

export interface ApprovalsOptions {
  readonly config: Config
  readonly keys: Keys
  /** What gateways share; also what the services of one store share. */
  readonly gatewayKey: Secret
  readonly clock: Clock
  readonly log: Log
}

export interface Approvals {
  /** Where it listens, with the real port where the config said 0. */
  readonly address: Address
  /**
   * Puts another config in the place of the one in use, with all that follows for people, and on record. Where it listens, its store and
   * its names stay. Rejects when it cannot be put on record, and then nothing has changed.
   */
  reload(config: Config, about: AboutConfig): Promise<void>
  /** Puts on record that a config could not be used. */
  refused(about: AboutConfig): Promise<void>
  /** Answers what waits, ends the feeds, closes the store. */
  close(): Promise<void>
}

/** Rejects, with words for the operator, when the store or the address cannot be used. */
export async function startApprovals({ config: first, keys, gatewayKey, clock, log }: ApprovalsOptions): Promise<Approvals> {
  let config = first
  const current: CurrentConfig = () => config
  const ownKey = gatewayPublicKey(await keys.private("gateway", "ssh-ed25519"))
  const store = await openStore(config.approvals.store, { clock, log })
  const tokenKeys = new TokenKeys({ store, keys, clock, log })
  const { issuer } = tokenKeys
  const checking = createTokenVerifier({ keys: tokenKeys.find, clock })
  const verifier = rememberTokens({ verifier: checking, keys: () => tokenKeys.current(), clock })
  logChanges(store, log)
  const grants = new Grants({ store, clock })
  const sessions = new Sessions({ store, clock })
  const people = new People({ current, store, log })
  const logins = new Logins({ store, people, clock })
  const requests = new Requests({ store, current, people, clock })
  const waiters = new Waiters({ store, clock })
  const estimates = new Estimates({ store, clock })
  const service = newServiceId()
  const gateways = new Gateways({ store, clock, log, service })
  const feed = new Feed({ store, clock, log, service })
  const notifier = new Notifier({ store, current, people, clock, log })
  const slack = new SlackAnswers({ store, current, people, clock, log, requests })
  const sweeper = new Sweeper({ store, clock, log, watch: new GatewayWatch({ store, clock }) })
  const authorities = new Authorities({ store, keys, clock, name: config.gateway.name })
  const workloadTokens = new Kept({
    current,
    part: ({ identity }) => identity.workloads,
    make: (workloads) => createWorkloadVerifier({ workloads, clock }),
  })
  const workloads = new WorkloadLogins({ store, people, logins, verifier: () => workloadTokens.now, issuer, clock, log })
  const certificates = new Certificates({ store, authorities, current, clock })
  const credentials = new GatewayCredentials({
    gateways: () => current().approvals.gateways,
    shared: gatewayKey,
    service,
    together: new SharedOnce({ store, clock }),
    own: { name: config.gateway.name, key: ownKey },
    clock,
    log,
  })
  const callers = new Callers({ current, people, logins, verifier, gateways: credentials })
  const place = new PublicPlace(config.approvals.public_url)
  const parts = loginParts({ current, store, people, logins, callers, issuer, gatewayKey, place, clock, log })
  const disabling = new Disabling({ store, people, clock })
  const login = { people, logins, disabling, issuer, parts }
  const server = createServer({
    callers,
    service,
    gateways: { credentials, refusals: new GatewayRefusals({ store, clock, log }) },
    parts,
    person: personRoutes({
      current,
      login: loginPersonRoutes(login),
      audit: new Audit({ store }),
      clock,
      requests,
      grants,
      sessions,
      gateways,
      waiters,
      authorities,
      certificates,
      tokenKeys,
      estimates,
    }),
    gateway: gatewayRoutes({
      people,
      logins,
      loginRoutes: loginGatewayRoutes(login),
      asking: askingRoutes({ current, people, logins, requests, clock }),
      grants,
      uses: new GrantUses({ store, clock }),
      targetCertificates: new TargetCertificates({ store, authorities, current, clock }),
      holds: new Holds({ store, current, clock }),
      estimates,
      sessions,
      gateways,
      issuer,
      log,
    }),
    feed,
    slack,
    authorities,
    workloads,
    jwks: () => tokenKeys.published(),
    openApi: openApi(config.approvals.public_url),
    ready: atMostOnceA(limits.heartbeat_ms, () => store.probe(), clock),
    useLine: (target, account, reader) => waysIn(current(), reader).useLine(target, account),
    accountsAt(name) {
      const target = current().targets.find((one) => one.name === name)
      return target && accountsOf(target)
    },
    clock,
    log,
  })
  const waiting = new Waiting({ store, current, people, clock, log })
  const close = async (): Promise<void> => {
    feed.close()
    waiters.close()
    await nextTurn() // for the answers of those who waited
    await server.close()
    await workloadTokens.close()
    tokenKeys.close()
    await waiting.close()
    await sweeper.close()
    await gateways.close()
    await slack.close()
    await notifier.close()
    await parts.close()
    await store.close()
  }
  const { host, port } = config.approvals.listen
  try {
    await tokenKeys.start()
    await notifier.begun
    await server.listen({ host, port })
  } catch (failure) {
    await close()
    throw new Error(`the approval service cannot listen on ${host}:${port}: ${wordsOf(failure)}`, { cause: failure })
  }
  sweeper.start()
  // A connection that cannot be accepted (no descriptors left) is that one's loss; unheard, the error would end the process.
  server.server.on("error", (err) => log.error({ err }, "the approval service's listener failed"))
  const bound = server.server.address()
  const address = { host, port: typeof bound === "object" && bound ? bound.port : port }
  place.settle(address)
  gateways.start(`${hostname()}:${address.port}`)
  const reloading = new Reloading({ store, current, replace: (next) => void (config = next), clock, log })
  return {
    address,
    reload: async (next, about) => {
      await reloading.take(next, about)
      notifier.reloaded()
      waiting.look()
    },
    refused: (about) => reloading.refuse(about),
    close,
  }
}

/** Nobody should find these only by looking. */
const loud: ReadonlySet<EventKind> = new Set(["break_glass.used", "break_glass.overdue", "gateway.lost"])

/** The audit log is in the store; the log gets its headlines. */
function logChanges(store: Store, log: Log): void {
  store.onCommit((events) => {
    for (const { kind, sequence, by, from, request, grant, session, rule } of events)
      log[loud.has(kind) ? "warn" : "info"]({ sequence, by, from, request, grant, session, rule }, kind)
  })
}

/** Anybody may ask whether we are ready; that must not become a way to keep the disk busy. */
function atMostOnceA(period_ms: number, task: () => Promise<void>, clock: Clock): () => Promise<void> {
  let last: { readonly at: number; readonly result: Promise<void> } | undefined
  return () => {
    if (!last || clock.now() - last.at >= period_ms) last = { at: clock.now(), result: task() }
    return last.result
  }
}

const wordsOf = (failure: unknown): string => (failure instanceof Error ? failure.message : String(failure))
