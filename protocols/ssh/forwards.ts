// What passes beside programs on one connection to a target: connections that the client has the target make (-L, -D, -W), ports and
// sockets on which the target listens for the client (-R), and the client's SSH agent (-A). Each is off unless the target's config
// names it, decided about and on record before the target hears of it, and dies with the session. The bytes are `forward_relay.ts`'s.
import { setImmediate as nextTurn } from "node:timers/promises"
import { type Destination, destinationText, parseDestination, parseSocketPath } from "../../src/core/destination.ts"
import { GatewayError } from "../../src/core/errors.ts"
import type { Decided, Decision } from "../../src/gateway/contract.ts"
import { pack, Reader } from "./codec.ts"
import type { ChannelOpening, GlobalAnswer } from "./connection.ts"
import { recordable } from "./environment.ts"
import { relayForward } from "./forward_relay.ts"
import { OpenRate } from "./open_rate.ts"
import { refusalOf } from "./refusal.ts"
import { type ForwardsOptions, RemoteForwards, tellAsked, type Wanted } from "./remote_forwards.ts"

export class Forwards {
  readonly #options: ForwardsOptions
  readonly #rate: OpenRate
  /** The target's, for itself: one side does not spend the other's. */
  readonly #targetRate: OpenRate
  readonly #remote: RemoteForwards
  readonly #live = new Set<Promise<unknown>>()
  /** The action that lets the target use the client's agent. */
  #agent: number | undefined
  #displayAsked = false

  constructor(options: ForwardsOptions) {
    this.#options = options
    this.#rate = new OpenRate(options.clock)
    this.#targetRate = new OpenRate(options.clock)
    this.#remote = new RemoteForwards({ ...options, onRefused: (why) => options.words.tell(why.say) })
  }

  /** Nothing is forwarded, and nothing listens. */
  async finished(): Promise<void> {
    while (this.#live.size > 0 || this.#remote.listening) {
      await (this.#live.size > 0 ? Promise.all(this.#live) : this.#remote.stopped)
    }
  }

  /** The client wants a connection from the target to somewhere. */
  onClientOpen(opening: ChannelOpening): void {
    const { session } = this.#options
    if (!this.#inTime(this.#rate)) return opening.refuse(...refusalOf(new GatewayError("too_many", { session: session.id })))
    const asked = askedFor(opening)
    if (!asked.destination || !this.#options.allow.local_forward.some((pattern) => pattern.covers(asked.destination!))) {
      session.recorder.write({ kind: "refused", what: asked.what })
      const what = asked.destination ? asked.what : "forwarding to such a place"
      return opening.refuse(...refusalOf(new GatewayError("not_allowed", { what, session: session.id })))
    }
    const { destination } = asked
    const decision = session.decide({ kind: "ssh.forward", direction: "local", ...destination })
    const forward = (decided: Decided): Promise<void> => this.#local(opening, destination, decided)
    if (decision.verdict === "hold") tellAsked(decision, this.#options)
    this.#track(decision.verdict === "hold" ? decision.decided.then(forward) : forward(decision))
  }

  onGlobal(name: string, data: Buffer): GlobalAnswer | Promise<GlobalAnswer> {
    if (!RemoteForwards.takes(name)) return false // a keepalive is answered by any answer
    return this.#inTime(this.#rate) && this.#remote.onGlobal(name, data)
  }

  /** The target wants a channel: one that this session has asked for, or it is refused, and on record. */
  onTargetOpen(opening: ChannelOpening): void {
    const { session } = this.#options
    if (session.signal.aborted) return opening.refuse(...refusalOf(new GatewayError("no_grant")))
    if (!this.#inTime(this.#targetRate)) return opening.refuse(...refusalOf(new GatewayError("too_many", { session: session.id })))
    const wanted = this.#wanted(opening)
    if (!wanted) {
      session.recorder.write({ kind: "refused", what: `the target's own channel ${recordable(opening.type, /[^\w.@-]/g)}` })
      return opening.refuse(...refusalOf(new GatewayError("unsupported", { what: "this channel", session: session.id })))
    }
    this.#track(this.#fromTarget(opening, wanted))
  }

  /** Whether programs of the channel may use the client's agent; undefined where the target's config says no. */
  decideAgent(channel: number): Decision | undefined {
    return this.#options.allow.agent ? this.#options.session.decide({ kind: "ssh.agent", channel }) : undefined
  }

  /** Whether nobody asked for an X11 display before: it is said once that there is none. */
  firstDisplay(): boolean {
    const first = !this.#displayAsked
    this.#displayAsked = true
    return first
  }

  /** From now on the target may ask for it. */
  lendAgent(action: number): void {
    this.#agent = action
  }

  #inTime(rate: OpenRate): boolean {
    const taken = rate.take()
    if (taken === "first") this.#options.session.recorder.write({ kind: "refused", what: "more forwards in one second than are taken" })
    return taken === "taken"
  }

  async #local(opening: ChannelOpening, destination: Destination, decided: Decided): Promise<void> {
    const { session, upstream } = this.#options
    if (decided.verdict === "deny") return opening.refuse(...refusalOf(decided.error))
    const open = async () => (await upstream()).open(...localChannel(destination))
    session.outcome({ action: decided.action, ...(await relayForward({ session, opening, direction: "up", open })) })
  }

  #wanted(opening: ChannelOpening): Wanted | undefined {
    if (opening.type !== "auth-agent@openssh.com") return this.#remote.wanted(opening)
    return this.#agent === undefined ? undefined : { action: this.#agent, data: Buffer.alloc(0) }
  }

  async #fromTarget(opening: ChannelOpening, { action, from, data }: Wanted): Promise<void> {
    const { session, client } = this.#options
    const opened = session.recorder.next
    const recorded = session.recorder.write({ kind: "opened", action, ...(from === undefined ? {} : { from }) })
    if (!recorded) return opening.refuse(...refusalOf(new GatewayError("recorder_failed")))
    const open = async () => {
      await nextTurn() // the answer that lets the client know of this forward goes first
      return client.open(opening.type, data)
    }
    const passed = await relayForward({ session, opening, direction: "down", open })
    session.recorder.note({ kind: "closed", opened, ...passed })
  }

  #track(forwarded: Promise<void>): void {
    const tracked = forwarded.finally(() => this.#live.delete(tracked))
    this.#live.add(tracked)
  }
}

function askedFor({ type, data }: ChannelOpening): { readonly destination: Destination | undefined; readonly what: string } {
  const reader = new Reader(data)
  if (type === "direct-streamlocal@openssh.com") {
    const path = reader.text()
    const destination = parseSocketPath(path)
    return { destination, what: `forwarding to ${destination ? path : recordable(path, /[^\w./-]/g)}` }
  }
  const [host, port] = [reader.text(), reader.uint32()]
  const destination = parseDestination(host, port)
  return { destination, what: `forwarding to ${destination ? destinationText(destination) : `${recordable(host, /[^\w.:-]/g)}:${port}`}` }
}

/** The client's own address is not the target's to know. */
function localChannel(destination: Destination): [type: string, data: Buffer] {
  if ("path" in destination) return ["direct-streamlocal@openssh.com", pack(destination.path, "", 0)]
  return ["direct-tcpip", pack(destination.host, destination.port, "127.0.0.1", 0)]
}
