// One connection to a tcp target: the grant, the decision, the dial, the client let in, and the bytes both ways until both sides have
// ended. The client is let in last, so that a refusal and a target that does not answer are the tool's own "connection failed".
import { once } from "node:events"
import type { Duplex } from "node:stream"
import { GatewayError } from "../../src/core/errors.ts"
import type { Gate, Session, Visit } from "../../src/gateway/contract.ts"
import { pump } from "../../src/gateway/pump.ts"
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
  void visit.gone.then(() => session.end())
  try {
    const decision = session.decide({ kind: "tcp.connect" })
    const decided = decision.verdict === "hold" ? await decision.decided : decision
    if (decided.verdict === "deny") throw decided.error
    const connection = new Connection(session, decided.action)
    const upstream = await connection.dial()
    const accepted = visit.accept()
    client = accepted.client
    await connection.pass(upstream, accepted)
  } catch (failure) {
    visit.refuse(GatewayError.from(failure, "target_unreachable").with({ session: session.id }))
  }
  over.resolve()
  session.end()
  await session.ended
}

class Connection {
  readonly #session: Session
  readonly #action: number
  readonly #began = performance.now()
  readonly #bytes = { up: 0, down: 0 }

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
    const session = this.#session
    const cut = Promise.withResolvers<void>()
    const onCut = (): void => cut.resolve()
    session.signal.addEventListener("abort", onCut, { once: true })
    if (session.signal.aborted) onCut()
    const left = new Promise<void>((resolve) => upstream.once("close", () => resolve()))
    // A side that has gone takes no more: that ends a direction, and is no failure of the other one.
    const up = pump({ from: client, to: upstream, session, direction: "up", pass: this.#counted("up") }).catch(() => {})
    const down = pump({ from: upstream, to: client, session, direction: "down", pass: this.#counted("down") }).catch(() => {})
    await Promise.race([Promise.all([up, down]), left.then(() => down), gone.then(() => up), cut.promise])
    await Promise.race([Promise.all([taken(client, gone), taken(upstream, left)]), cut.promise])
    session.signal.removeEventListener("abort", onCut)
    this.#over("ok")
  }

  #counted(direction: "up" | "down"): (chunk: Buffer) => Buffer {
    return (chunk) => {
      this.#bytes[direction] += chunk.length
      return chunk
    }
  }

  #over(status: Outcome["status"]): void {
    const { reason } = this.#session.signal as { readonly reason: unknown }
    const cut = reason instanceof GatewayError && reason.kind === "ended"
    this.#session.outcome({
      action: this.#action,
      status: cut ? "cut" : status,
      duration_ms: Math.round(performance.now() - this.#began),
      bytes_up: this.#bytes.up,
      bytes_down: this.#bytes.down,
    })
  }
}

/** All that was written to `side` is on its way, or it has gone. */
async function taken(side: Duplex, gone: Promise<void>): Promise<void> {
  if (!side.writableEnded) side.end()
  if (!side.writableFinished && !side.destroyed) await Promise.race([once(side, "finish").catch(() => {}), gone])
}
