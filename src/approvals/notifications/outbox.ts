// What waits to be told, as the store keeps it. The audit log itself is the outbox: an event is in it exactly when the change that
// it tells of was made, so nothing is told of what was undone and nothing is forgotten. From there each event becomes a delivery
// for every channel and recipient, once, and a delivery stays until it arrived or was given up.
import type { Millis } from "../../core/clock.ts"
import type { EventRecord } from "../store.ts"

export interface NewDelivery {
  /** What the receiver may use to know one that comes twice. */
  readonly id: string
  readonly channel: string
  /** An address; empty where the channel has one receiver. */
  readonly recipient: string
  /** Of the event. */
  readonly sequence: number
  readonly next_at: Millis
  readonly give_up_at: Millis
}

export interface Delivery extends NewDelivery {
  /** How often it was tried, this time included. */
  readonly attempts: number
}

export interface OutboxReader {
  /** The audit log after `after`, in order. */
  events(after: number, limit: number): Promise<readonly EventRecord[]>
  /** The last event that was turned into deliveries; undefined: nothing ever was. */
  outboxThrough(): Promise<number | undefined>
  /** When the next of these channels' deliveries is due. */
  nextDelivery(channels: readonly string[]): Promise<Millis | undefined>
}

export interface OutboxChange {
  setOutboxThrough(sequence: number): Promise<void>
  /** How many wait for a channel. */
  waitingDeliveries(channel: string): Promise<number>
  addDelivery(delivery: NewDelivery): Promise<void>
  /** Takes what is due, as one more attempt, and lets nobody else have it before `until`: so long this service has to send it. */
  claimDeliveries(wanted: {
    readonly channel: string
    readonly now: Millis
    readonly until: Millis
    readonly limit: number
  }): Promise<readonly Delivery[]>
  /** To be tried again at `next_at`; nothing happens when somebody else has taken it meanwhile. */
  retryDelivery(delivery: Delivery, next_at: Millis): Promise<void>
  removeDelivery(id: string): Promise<void>
  /** Those that no channel takes any more. */
  removeDeliveriesOver(given_up_before: Millis): Promise<void>
  /** Whether `digest` comes for the first time; those seen before `forget_before` are forgotten. */
  firstAnswer(digest: string, seen: { readonly at: Millis; readonly forget_before: Millis }): Promise<boolean>
}
