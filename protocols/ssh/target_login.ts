// The login to one target, for somebody whose identity is proven: in with a grant, or asked why and for how long in the login's own
// questions (RFC 4256, keyboard-interactive), and then they wait. Whether it may be asked for, and what became of it, the gate says.
import type { AuthContext, KeyboardAuthContext } from "ssh2"
import type { Timer } from "../../src/core/clock.ts"
import { formatDuration, parseDuration } from "../../src/core/duration.ts"
import { GatewayError } from "../../src/core/errors.ts"
import { limits } from "../../src/core/limits.ts"
import { visible } from "../../src/core/visible.ts"
import type { AskWords, Filed, Gate, Host, Offer } from "../../src/gateway/contract.ts"
import type { Connection } from "./connection.ts"
import type { LoginAnswer } from "./handshake.ts"
import { noMethod } from "./key_login.ts"
import type { KeyLife } from "./key_renewal.ts"
import type { TargetRoute, TargetSession } from "./target_session.ts"

export interface TargetLoginOptions {
  readonly gate: Gate
  readonly host: Host
  readonly life: KeyLife
  readonly session: TargetSession
  /** The one who asks is known, and may take their time. */
  onAsking(): void
}

const questions = ["keyboard-interactive"] as const

/** Whether this attempt is the answer to `TargetLogin.enter` that there are questions. */
export const isConversation = (attempt: AuthContext): attempt is KeyboardAuthContext => attempt.method === "keyboard-interactive"

export class TargetLogin {
  readonly #options: TargetLoginOptions
  #connection: Connection | undefined
  /** Why there are questions, once there are; cleared when they were answered. */
  #asks = false

  constructor(options: TargetLoginOptions) {
    this.#options = options
  }

  /** As soon as there is one. */
  attach(connection: Connection): void {
    this.#connection = connection
  }

  /** `proven`: whether this very attempt has shown who it is, so that what follows is the second half of it (RFC 4252, section 5.1). */
  async enter(route: TargetRoute, { proven }: { readonly proven: boolean }): Promise<LoginAnswer> {
    const { gate, session } = this.#options
    try {
      await session.open(route)
      return true
    } catch (failure) {
      if (!(failure instanceof GatewayError) || failure.code !== "no_grant") return this.#refuse(failure)
      try {
        const offer = await gate.offer({ identity: route.identity, target: route.target, as: route.login })
        if (!offer) return this.#refuse(failure)
        if (offer.at_once) return await this.#ask(route, { words: () => Promise.resolve(undefined), told: () => {} })
      } catch (other) {
        this.#limit()
        return this.#refuse(other)
      }
      // Said now, because a client that answers no questions comes no further.
      this.#connection?.transport.banner(failure.say)
      this.#asks = true
      return proven ? { partial: questions } : questions
    }
  }

  /** Asks, and waits for a decision. */
  async converse(attempt: KeyboardAuthContext, route: TargetRoute): Promise<LoginAnswer> {
    if (!this.#asks) return noMethod
    this.#asks = false
    this.#options.onAsking()
    try {
      return await this.#ask(route, {
        words: (offer, problem) => askPerson(attempt, offer, problem),
        told: (filed) => void tell(attempt, filed),
      })
    } catch (failure) {
      this.#limit()
      // Without a reason they have asked for nothing, and have read already how they could.
      if (failure instanceof GatewayError && failure.code === "no_grant") return noMethod
      return this.#refuse(failure)
    }
  }

  async #ask(route: TargetRoute, how: Person): Promise<true> {
    const { gate, session } = this.#options
    const left = new AbortController()
    void this.#connection?.closed.then(() => left.abort())
    const { identity, target, login: as } = route
    const alive = this.#keepAlive()
    let waited = false
    const told = (filed: Filed): void => {
      waited = true
      how.told(filed)
    }
    try {
      await gate.ask({ identity, target, as, signal: left.signal, words: how.words, told })
    } finally {
      alive.cancel()
    }
    await session.open(route)
    if (waited) this.#connection?.transport.banner("sluice: it is approved")
    return true
  }

  #refuse(failure: unknown): readonly string[] {
    if (!(failure instanceof GatewayError)) throw failure
    this.#connection?.transport.banner(failure.say)
    return noMethod
  }

  /** A client may take silence for a connection that is gone: OpenSSH does after ServerAliveInterval, also while it logs in. */
  #keepAlive(): Timer {
    const { host, life } = this.#options
    const interval_ms = Math.min(limits.ssh_ask_alive_ms, life.keepalive_ms ?? limits.ssh_keepalive_ms)
    let timer: Timer
    const again = (): void => {
      this.#connection?.transport.ignore()
      timer = host.clock.after(interval_ms, again)
    }
    timer = host.clock.after(interval_ms, again)
    return { cancel: () => timer.cancel() }
  }

  /** After a refusal nothing more can come of it; who stays all the same is not waited for. */
  #limit(): void {
    const transport = this.#connection?.transport
    this.#options.host.clock.after(limits.handshake_ms_max.ssh, () => {
      if (!transport?.authenticated) transport?.socket.destroy()
    })
  }
}

interface Person {
  words(offer: Offer, problem: string | undefined): Promise<AskWords | undefined>
  told(filed: Filed): void
}

/** An empty reason asks for nothing: so does a client that has nobody to ask, and answers with nothing. */
async function askPerson(attempt: KeyboardAuthContext, offer: Offer, problem: string | undefined): Promise<AskWords | undefined> {
  const reason = await one(attempt, "Reason: ", problem === undefined ? introduction(offer) : `sluice: ${problem}`)
  if (reason === undefined || reason.trim() === "") return undefined
  const usual_ms = Math.min(limits.ask_duration_ms, offer.max_ms)
  const usual = formatDuration(usual_ms)
  const most = usual_ms === offer.max_ms ? `[${usual}]` : `[${usual}, at most ${formatDuration(offer.max_ms)}]`
  let wrong = ""
  for (let tries = 0; tries < limits.ask_tries_max; tries++) {
    const text = (await one(attempt, `For how long? ${most} `, wrong))?.trim()
    if (text === undefined) return undefined
    const duration_ms = text === "" ? usual_ms : parseDuration(text)
    if (duration_ms !== undefined && duration_ms >= limits.grant_ms_min && duration_ms <= offer.max_ms) return { reason, duration_ms }
    wrong = duration_ms === undefined ? "sluice: a duration looks like 45m, 1h30m or 2d" : `sluice: at most ${formatDuration(offer.max_ms)}`
  }
  return undefined
}

function introduction({ by, count, ticket }: Offer): string {
  const who = by.length === 0 ? "" : ` ${count > 1 ? `${count} of ` : ""}${visible(by.join(", "))} may approve.`
  const needed = ticket === null ? "" : ` The reason must have a ticket in it: ${visible(ticket)}.`
  return `sluice: Or ask here, and wait.${who}${needed} An empty reason asks for nothing.`
}

/** A round without a question: clients show its words, and answer at once. */
function tell(attempt: KeyboardAuthContext, { say, link }: Filed): Promise<readonly string[]> {
  return round(attempt, [], `sluice: ${say}\n        ${link}\nWaiting for a decision; Ctrl-C takes the request back.`)
}

/** One line; undefined from a client that does not answer what it was asked. */
const one = async (attempt: KeyboardAuthContext, prompt: string, instruction: string): Promise<string | undefined> =>
  (await round(attempt, [{ prompt, echo: true }], instruction))[0]

function round(
  attempt: KeyboardAuthContext,
  prompts: readonly { readonly prompt: string; readonly echo: boolean }[],
  instruction: string,
): Promise<readonly string[]> {
  return new Promise((resolve) =>
    attempt.prompt([...prompts], "", instruction, (responses: unknown) => resolve(Array.isArray(responses) ? (responses as string[]) : [])),
  )
}
