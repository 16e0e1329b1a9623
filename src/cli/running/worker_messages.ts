// What `sluice start` and its workers say to each other, over the channel that Node keeps between a process and its child.
import type { SourceMessage } from "../../config/config_source.ts"
import type { Ready } from "../../observe/health.ts"
import type { Address, ProtocolName } from "../../core/target.ts"

export type Listening = Readonly<Partial<Record<ProtocolName, Address>>>

/** In the environment of a worker, as JSON. */
export interface Place {
  readonly index: number
  readonly count: number
  /** Where the approval service is reached from here. */
  readonly url: string
  /** Whether the service runs beside it, and is waited for. */
  readonly role: "all" | "gateway"
}

export const place_variable = "SLUICE_WORKER"

export type ToWorker =
  /** It may begin to listen, with this config: all that is made once is there. */
  | { readonly kind: "go"; readonly source: SourceMessage }
  /** To make ready for another config; then to use it, or to leave it alone. Configs are counted. */
  | { readonly kind: "config"; readonly number: number; readonly source: SourceMessage }
  | { readonly kind: "use" | "drop"; readonly number: number }
  | { readonly kind: "drain"; readonly time_ms_max: number | undefined }
  | { readonly kind: "ready" }
  | { readonly kind: "told"; readonly words: string }

export type FromWorker =
  | { readonly kind: "started"; readonly listening: Listening; readonly ca: string | undefined }
  | { readonly kind: "failed"; readonly message: string; readonly code: string | undefined }
  | { readonly kind: "ready"; readonly answer: Ready }
  /** `problem`: why it cannot be used, in words for the operator. */
  | { readonly kind: "prepared" | "used"; readonly number: number; readonly problem: string | undefined }
  | { readonly kind: "tell"; readonly index: number; readonly words: string }
