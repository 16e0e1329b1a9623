// The routes by which a gateway asks for somebody who stands before it: the same rules as for everybody who asks by themselves. What
// a rule gives only after more than words (a fresh login, a break-glass) is not offered there.
import type { z } from "zod"
import type { leftHere, Offer } from "../../api/asking_schema.ts"
import type { CurrentConfig } from "../../config/current_config.ts"
import { namedIn, total } from "../../core/approval_plan.ts"
import type { Clock } from "../../core/clock.ts"
import { GatewayError } from "../../core/errors.ts"
import { limits } from "../../core/limits.ts"
import type { GatewayRoutes } from "../gateways/gateway_routes.ts"
import type { Caller } from "../journal.ts"
import type { Logins } from "../login/logins.ts"
import type { People } from "../people/people.ts"
import { askableAccounts, isAskable, isBreakGlass, personOf, rulingFor } from "../policy.ts"
import type { Requests } from "./requests.ts"

export interface AskingRoutesOptions {
  readonly current: CurrentConfig
  readonly people: People
  readonly logins: Logins
  readonly requests: Requests
  readonly clock: Clock
}

export type AskingRoutes = Pick<GatewayRoutes, "offer" | "ask_here" | "leave_here">

interface Wanted {
  readonly subject: string
  readonly target: string
  readonly as?: string | undefined
}

export function askingRoutes({ current, people, logins, requests, clock }: AskingRoutesOptions): AskingRoutes {
  const offerFor = async ({ subject, target: name, as }: Wanted): Promise<Offer | null> => {
    const { policy, targets } = current()
    const known = await people.find(subject)
    const target = targets.find((one) => one.name === name)
    const rule = known && target && rulingFor(policy, personOf(known, policy), { target, now: clock.now(), asked: undefined })?.rule
    if (!rule || isBreakGlass(rule.approve) || rule.login !== undefined || !isAskable(rule, target)) return null
    if (as !== undefined && !askableAccounts(rule, target).includes(as)) return null
    const { approve, max_ms, reason_required, ticket } = rule
    const wants = { max_ms, reason_required, ticket: ticket?.source ?? null }
    if (approve === "auto") return { ...wants, at_once: !reason_required && ticket === undefined, by: [], count: 0 }
    return { ...wants, at_once: false, by: [...namedIn(approve.plan)], count: total(approve.plan) }
  }

  /** The one who asks, with nothing behind them but that a gateway knows them. Throws `login_over`, `not_found`. */
  const callerFor = async ({ subject, login: id, client }: z.output<typeof leftHere>): Promise<Caller> => {
    const [known, login] = await Promise.all([people.find(subject), id === undefined ? undefined : logins.live(id)])
    if (!known) throw new GatewayError("not_found")
    if (id !== undefined && login?.subject !== subject) throw new GatewayError("login_over")
    return { person: personOf(known, current().policy), proof: null, login: id ?? null, until: clock.now(), from: client }
  }

  return {
    offer: async ({ query }) => ({ offer: await offerFor(query) }),
    ask_here: async ({ body }) => {
      const { gateway, protocol, waiter, until, subject: _subject, login: _login, client: _client, ...asked } = body
      const wait = { gateway, protocol, waiter, until: Math.min(until, clock.now() + limits.ask_wait_ms_max) }
      return requests.ask(await callerFor(body), asked, wait)
    },
    leave_here: async ({ params, body }) => requests.leave(await callerFor(body), params.id, body.waiter),
  }
}
