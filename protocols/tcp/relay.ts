// One connection to a tcp target: the grant, the decision, the dial, the client let in, and the bytes both ways until both sides have
// ended. The client is let in last, so that a refusal and a target that does not answer are the tool's own "connection failed".
import type { Duplex } from "node:stream"
import { GatewayError } from "../../src/core/errors.ts"
import { type Passed, passBothWays } from "../../src/gateway/both_ways.ts"
import type { Gate, Session, Visit } from "../../src/gateway/contract.ts"
import type { Outcome } from "../../src/record/events.ts"

/** Settles when the connection is over and its recording closed. */
export async function relayConnection(visit: Visit, gate: Gate): Promise<void> {
  const over = Promise.withResolvers<void>()
  let client: Duplex | undefined
  let session: Session
  try {
    session = await gate.open({
      identity: visit.identity,
      target: visit.target,
      as: undefined,
      client: { destroy: () => client?.destroy() },
      farewell: ({ say }) => {
        visit.tell(say)
        client?.destroy() // at once: what waits in it is not sent any more
      },
      finished: () => over.promise,
      warn: ({ say }) => visit.tell(say),
    })
  } catch (failure) {
    return visit.refuse(GatewayError.from(failure, "stale"))
  }
  const end = (): void => {
    const for_ms = visit.silent_ms()
    if (for_ms !== undefined && !session.signal.aborted) session.recorder.write({ kind: "silent", side: "client", for_ms })
    session.end()
  }
  void visit.gone.then(end)
  try {
    const decision = session.decide({ kind: "tcp.connect" })
    if (decision.verdict === "hold") void decision.asked.then((asked) => asked && visit.tell(asked.say))
    const decided = decision.verdict === "hold" ? await decision.decided : decision
    if (decided.verdict === "deny") throw decided.error
    const connection = new Connection(session, decided.action)
    const upstream = await connection.dial()
    const accepted = visit.accept()
    client = accepted.client
    if (session.signal.aborted) client.destroy() // those who cut had none yet to close
    await connection.pass(upstream, accepted)
  } catch (failure) {
    visit.refuse(GatewayError.from(failure, "target_unreachable").with({ session: session.id }))
  }
  over.resolve()
  end()
  await session.ended
}

class Connection {
  readonly #session: Session
  readonly #action: number
  readonly #began = performance.now()

  constructor(session: Session, action: number) {
    this.#session = session
    this.#action = action
  }

  /** Throws what `session.dial` throws, and puts it on record. */
  async dial(): Promise<Duplex> {
    try {
      const upstream = await this.#session.dial()
      upstream.allowHalfOpen = true // a server may be done speaking before it is done listening
      return upstream
    } catch (failure) {
      this.#over("error")
      throw failure
    }
  }

  /** Passes bytes until both sides have ended and have taken what was theirs, or one has gone, or the cut. */
  async pass(upstream: Duplex, { client, gone }: ReturnType<Visit["accept"]>): Promise<void> {
    const left = new Promise<void>((resolve) => upstream.once("close", () => resolve()))
    const near = { stream: client, gone }
    const far = { stream: upstream, gone: left }
    this.#over("ok", await passBothWays({ session: this.#session, near, far, direction: "up" }))
  }

  #over(status: Outcome["status"], passed: Passed = { bytes_up: 0, bytes_down: 0 }): void {
    const { reason } = this.#session.signal as { readonly reason: unknown }
    const cut = reason instanceof GatewayError && reason.kind === "ended"
    this.#session.outcome({
      action: this.#action,
      status: cut ? "cut" : status,
      duration_ms: Math.round(performance.now() - this.#began),
      ...passed,
    })
  }
}
