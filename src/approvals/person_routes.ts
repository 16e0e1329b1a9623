// The routes that people use: each as one call of the service's domain.
import type { RouteName, routes, Shapes } from "../api/routes.ts"
import type { AskableTarget } from "../api/schema.ts"
import type { Config } from "../config/config.ts"
import type { CurrentConfig } from "../config/current_config.ts"
import type { Clock, Millis } from "../core/clock.ts"
import { limits } from "../core/limits.ts"
import type { Audit } from "./audit.ts"
import type { Authorities } from "./authorities/authorities.ts"
import type { Certificates } from "./authorities/certificates.ts"
import type { Estimates } from "./requests/estimates.ts"
import type { Gateways } from "./gateways/gateways.ts"
import type { Grants } from "./grants/grants.ts"
import type { Caller } from "./journal.ts"
import type { LoginPersonRoutes } from "./login/login_routes.ts"
import { askableAccounts, isAskable, type Person, rulingFor } from "./policy.ts"
import type { Requests } from "./requests/requests.ts"
import type { Sessions } from "./grants/sessions.ts"
import type { TokenKeys } from "./authorities/token_keys.ts"
import type { Waiters } from "./requests/waiters.ts"
import type { Input } from "./wire.ts"

export interface Domain {
  readonly current: CurrentConfig
  readonly login: LoginPersonRoutes
  readonly requests: Requests
  readonly estimates: Estimates
  readonly grants: Grants
  readonly sessions: Sessions
  readonly gateways: Gateways
  readonly waiters: Waiters
  readonly audit: Audit
  readonly clock: Clock
  readonly authorities: Authorities
  readonly certificates: Certificates
  readonly tokenKeys: TokenKeys
}

export type PersonRoute = { [Name in RouteName]: (typeof routes)[Name]["who"] extends "person" ? Name : never }[RouteName]

export interface PersonCall<Name extends RouteName> extends Input<Name> {
  readonly caller: Caller
  /** Aborted when the client has left. */
  readonly signal: AbortSignal
}

export type PersonRoutes = { readonly [Name in PersonRoute]: (call: PersonCall<Name>) => Promise<Shapes[Name]["answer"]> }

export function personRoutes(domain: Domain): PersonRoutes {
  const { current, login, audit, clock, requests, grants, sessions, gateways, waiters, authorities, certificates, tokenKeys, estimates } =
    domain
  return {
    ...login,
    targets: async ({ caller }) => ({ targets: askableTargets(current(), caller.person, clock.now()) }),
    requests: async ({ caller, query: { status, limit, before } }) => {
      const { items, next } = await requests.list(caller.person, { which: status ?? "all", limit, before })
      return { requests: [...items], next }
    },
    ask: ({ caller, body }) => requests.ask(caller, body),
    request: async ({ caller: { person }, params: { id }, query: { wait_ms = 0 }, signal }) => {
      if (wait_ms === 0) return requests.get(person, id)
      const waiter = waiters.enter(id, person.name)
      try {
        const request = await requests.get(person, id)
        if (request.status !== "pending") return request
        await waiter.settled(wait_ms, signal)
        return await requests.get(person, id)
      } finally {
        waiter.leave()
      }
    },
    approve: ({ caller, params, body }) => requests.approve(caller, params.id, body.reason),
    estimate: async ({ caller, params: { id }, signal }) => {
      const waiter = waiters.enter(id, caller.person.name)
      try {
        if (await estimates.ask(caller, id)) await waiter.settled(limits.estimate_wait_ms, signal)
        return await requests.get(caller.person, id)
      } finally {
        waiter.leave()
      }
    },
    deny: ({ caller, params, body }) => requests.deny(caller, params.id, body.reason),
    review: ({ caller, params, body }) => requests.review(caller, params.id, body.reason),
    audit: async ({ caller, query }) => ({ events: [...(await audit.list(caller.person, query))] }),
    withdraw: ({ caller, params }) => requests.withdraw(caller, params.id),
    grants: async ({ caller, query: { all = false, limit, before } }) => {
      const { items, next } = await grants.list(caller.person, { all, limit, before })
      return { grants: [...items], next }
    },
    extend: ({ caller, params, body }) => requests.extend(caller, params.id, body),
    revoke: ({ caller, params, body }) => grants.revoke(caller, params.id, body.reason),
    drop: ({ caller, params }) => grants.drop(caller, params.id),
    sessions: async ({ caller, query: { live = false, limit, before } }) => {
      const { items, next } = await sessions.list(caller.person, { live, limit, before })
      return { sessions: [...items], next }
    },
    gateways: ({ caller }) => gateways.list(caller.person),
    certificates: ({ caller, body }) => certificates.issue(caller, body),
    rotate: async ({ caller, params: { id }, body }) => ({
      authorities: [...(await (id === "token" ? tokenKeys.rotate(caller, body) : authorities.rotate(caller, id, body)))],
    }),
    kill: ({ caller, params, body }) => sessions.kill(caller, params.id, body.reason),
  }
}

function askableTargets({ policy, targets }: Config, person: Person, now: Millis): AskableTarget[] {
  return targets.flatMap((target) => {
    const rulings = [false, true].map((break_glass) => rulingFor(policy, person, { target, now, asked: undefined, break_glass }))
    const [ruling, loud] = rulings.map((one) => (one && isAskable(one.rule, target) ? one : undefined))
    const shown = ruling ?? loud
    if (!shown) return []
    const { max_ms, approve, reason_required, actions, first_use_ms_max } = shown.rule
    return {
      name: target.name,
      protocol: target.protocol,
      labels: { ...target.labels },
      accounts: [...askableAccounts(shown.rule, target)],
      max_ms,
      approve: ruling === undefined ? "break_glass" : approve === "auto" ? "auto" : "people",
      break_glass: loud !== undefined,
      reason_required,
      actions: actions === null ? null : [...actions],
      first_use_ms_max,
    }
  })
}
