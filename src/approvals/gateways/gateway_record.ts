// A process of a gateway as the store keeps it, and the store's doors to it. The rules are in `gateways.ts` and `gateway_watch.ts`.
import type { Millis } from "../../core/clock.ts"
import type { InstanceId } from "../../core/ids.ts"

export interface GatewayRecord {
  /** Its gateway's name, with "/n" where it is one of several processes. */
  readonly name: string
  /** Another one after each start. */
  readonly instance: InstanceId
  readonly version: string
  /** By its own clock. */
  readonly started_at: Millis
  /** Where it listens, by protocol. */
  readonly listening: Readonly<Record<string, string>>
  /** The approval service that hears it. */
  readonly service: string
  /** The network address that it calls from. */
  readonly from: string
  /** When it was last heard, as far as that is written: within `gateway_word_ms`. */
  readonly seen_at: Millis
  /** Since when it is given up; null: it is heard. */
  readonly lost_at: Millis | null
}

export interface GatewayReads {
  /** Every one that is known. */
  gateways(): Promise<readonly GatewayRecord[]>
  gateway(name: string): Promise<GatewayRecord | undefined>
  /** How many sessions without an end each has. */
  openSessionCounts(): Promise<ReadonlyMap<string, number>>
}

export interface GatewayWrites {
  /** In the place of what was known under its name. */
  putGateway(gateway: GatewayRecord): Promise<void>
  /** Answers whether it is still that instance, and not given up; else nothing is written. */
  touchGateway(seen: Pick<GatewayRecord, "name" | "instance" | "seen_at" | "service">): Promise<boolean>
  removeGateways(names: readonly string[]): Promise<void>
}
