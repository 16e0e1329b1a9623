// What the suite needs to know about a protocol to hold it to the contract: how its client talks, and how its target does.
import type { Duplex } from "node:stream"
import type { Target } from "../../src/core/target.ts"
import type { CarriedProtocol, Protocol } from "../../src/gateway/contract.ts"
import type { Harness } from "./harness.ts"

export interface Driver {
  /** The one that clients speak. */
  readonly protocol: Protocol
  /** The one that is held to the contract, where it is carried in that one's connection. What clients send in it are bytes, not actions. */
  readonly carried?: CarriedProtocol
  /** A target of this protocol. Its login or role, where there is one, is "deploy". */
  target(name: string): Target
  /** The other end of a connection the gateway dialled: a small real server. */
  serveTarget(socket: Duplex, target: FakeTarget): void
  /** Logs in as Alice and goes to `target`. Settles when the client is inside, or was told why not. */
  enter(harness: Harness, client: Duplex, target: string): Promise<Visit | Refused>
  /** Bytes that are no message of this protocol. */
  readonly garbage: Buffer
  /** How a grant names one action, by the word that `act` takes. */
  named(action: string): string
  /** The action, in that form, that entering itself does, where it does one. */
  readonly entering?: string
  /** Whether the client's tool shows a warning while the connection is idle. */
  readonly warns: boolean
  /** Whether the client's tool shows at once that an action is held; `answersHeld`: it gets an answer that says so, after a while. */
  readonly tells: boolean
  readonly answersHeld: boolean
}

export interface Refused {
  readonly in: false
  /** Everything the client was told. */
  readonly words: string
}

export interface Visit {
  readonly in: true
  /** Does one action; answers what the target said. */
  act(action: string): Promise<string>
  /** Sends an action that the target does not finish. */
  begin(action: string): Promise<void>
  /** Everything that the person has been shown beside the target's answers. */
  words(): string
  /** All bytes of answers that have come from the target. */
  received(): string
  /** Sends more of the client's own bytes, as a client would that has not noticed the cut. */
  sendMore(): void
  /** Settles when the client's connection is gone. */
  readonly closed: Promise<void>
  /** The client goes away without a word. */
  vanish(): void
}

/** What the target saw, and what it can be told to do. */
export class FakeTarget {
  readonly actions: string[] = []
  /** Called as an action arrives, before it is answered. */
  onAction: (action: string) => void = () => {}
  /** Sends bytes of an unfinished action's answer; set by the driver's server. */
  say: (text: string) => void = () => {}
  /** How often something running was asked to stop. */
  cancelled = 0
  /** Connections that are open now. */
  open = 0
  /** Bytes that came after the login. */
  bytes = 0

  arrived(action: string): void {
    this.actions.push(action)
    this.onAction(action)
  }
}
