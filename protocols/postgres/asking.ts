// Asking for access from within a PostgreSQL client: what it says by its options is the question, a NOTICE says the request's number
// and link, and it waits between AuthenticationOk and ReadyForQuery, where libpq shows a notice at once. Who says no reason is refused as
// always, because a program would rather fail than wait; a target's `ask: { unasked: true }` says otherwise.
import { parseDuration } from "../../src/core/duration.ts"
import { GatewayError } from "../../src/core/errors.ts"
import type { Identity } from "../../src/core/identity.ts"
import type { AskWords, Filed, Gate, Offered } from "../../src/gateway/contract.ts"
import { authenticationOk, report } from "./codec.ts"
import type { Downstream } from "./downstream.ts"
import type { Startup } from "./startup.ts"

export interface Question {
  readonly identity: Identity
  readonly startup: Startup
  /** Why they cannot come in as it is. */
  readonly refusal: GatewayError
}

const how = `, or from here, and wait: PGOPTIONS='-c sluice.reason=INC-7'`

/** Settles when something opens the target. Rejects with what they are told. */
export async function askToEnter(side: Downstream, gate: Gate, { identity, startup, refusal }: Question): Promise<void> {
  const wanted = { identity, target: startup.target, as: startup.user }
  const offer = await gate.offer(wanted)
  if (!offer) throw refusal
  const said = readWords(startup, offer)
  // Nothing is asked of a client that says nothing, unless nobody would want to know anything either.
  if (!said && !offer.at_once) throw refusal.with({ ask: `${refusal.facts.ask ?? ""}${how}` })
  const left = new AbortController()
  const unwatch = side.inlet.onEnd(() => left.abort())
  try {
    await gate.ask({
      ...wanted,
      signal: left.signal,
      words: (_offer, problem) =>
        problem === undefined ? Promise.resolve(said) : Promise.reject(new GatewayError("invalid", { what: problem })),
      told: (filed) => tell(side, filed),
    })
  } finally {
    unwatch()
  }
}

/** Throws `invalid`. */
function readWords({ asks }: Startup, offer: Offered): AskWords | undefined {
  const { reason = "", lasts } = asks
  const duration_ms = lasts === undefined ? undefined : parseDuration(lasts)
  if (lasts !== undefined && duration_ms === undefined)
    throw new GatewayError("invalid", { what: "sluice.for is a duration such as 45m, 1h30m or 2d" })
  if (reason !== "") return { reason, duration_ms }
  return offer.unasked && !offer.reason_required && offer.ticket === null ? { reason, duration_ms } : undefined
}

function tell(side: Downstream, { say, link }: Filed): void {
  const words = `sluice: ${say}\n${link}\nWaiting for a decision; Ctrl-C takes the request back.`
  side.welcomed = true
  side.client.write(Buffer.concat([authenticationOk(), report({ severity: "NOTICE", sqlstate: "00000", message: words })]))
}
