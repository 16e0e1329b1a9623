// What a person is told when a verb fails, what to do next, and the exit status: 1 refused or failed, 2 misuse.
import { GatewayError, type ErrorCode } from "../core/errors.ts"
import { visible, visibleJson } from "../core/visible.ts"
import type { Context } from "./context.ts"

/** A failure in words for the person at hand, with what they can do about it. */
export class Failure extends Error {
  readonly advice: string
  readonly status: 1 | 2

  constructor(words: string, advice: string, { status = 1 }: { readonly status?: 1 | 2 } = {}) {
    super(words)
    this.name = "Failure"
    this.advice = advice
    this.status = status
  }
}

/** Writes it and answers the exit status. What is neither ours nor of the table is thrown on. */
export function tell(context: Context, thrown: unknown, json: boolean): 1 | 2 {
  const { io, call } = context
  const failure = context.own ? withCause(thrown) : thrown
  if (!(failure instanceof GatewayError) && !(failure instanceof Failure)) throw failure
  const code = thrown instanceof GatewayError ? thrown.code : "failed"
  const advice = failure instanceof GatewayError ? next[failure.code]?.replaceAll("sluice ", `${call} `) : failure.advice
  if (json) io.write(`${visibleJson({ error: { code, message: failure.message, ...(advice ? { advice } : {}) } })}\n`)
  else io.error(`sluice: ${lines(failure.message)}\n${advice ? `${lines(advice)}\n` : ""}`)
  if (failure instanceof Failure) return failure.status
  return failure.kind === "input" ? 2 : 1
}

/** From here the service could not be called: the table's words are about a gateway. */
function withCause(failure: unknown): unknown {
  if (!(failure instanceof GatewayError) || failure.code !== "stale" || !(failure.cause instanceof Error)) return failure
  return new Failure(
    `the approval service cannot be reached from here: ${failure.cause.message}`,
    "It is called at its `approvals.public_url`, or where --service says. Over ssh, as in `ssh gateway whoami`, nobody needs a way to it.",
  )
}

const lines = (text: string): string => text.split("\n").map(visible).join("\n")

const next: Partial<Record<ErrorCode, string>> = {
  unauthenticated:
    "The gateway does not take this proof any more. Try again; if it stays so, ask an administrator for your ssh key's place in the configuration.",
  own_request: "Ask a colleague who may: it is in their list of requests, and on its page.",
  forbidden: "`sluice requests` and `sluice grants` mark what you may decide about.",
  not_askable: "`sluice targets` lists what you may ask for, and for how long.",
  not_found: "`sluice requests`, `sluice grants` and `sluice sessions` list what you may see.",
  decided: "`sluice requests` shows what was decided.",
  over: "`sluice requests` and `sluice grants --all` show how it ended.",
  grant_over: "`sluice request` asks for a new one; `sluice grants --all` shows how it ended.",
  too_long: "`sluice targets` shows how long each may be had.",
  stale: "The approval service does not answer. Try again in a moment; an administrator finds the reason in its log.",
}
