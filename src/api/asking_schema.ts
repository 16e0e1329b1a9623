// The part of the API by which a gateway asks for somebody who stands before it; as `schema.ts` is for the rest.
import { z } from "zod"
import type { WaiterId } from "../core/ids.ts"
import { limits } from "../core/limits.ts"
import { loginId, newRequest, words } from "./schema.ts"

const name = newRequest.shape.target
const millis = z.int().nonnegative()

/** What somebody may ask for from within the tool they are in. */
export const offer = z.object({
  max_ms: z.int(),
  /** The rule gives it by itself, and wants to know nothing. */
  at_once: z.boolean(),
  /** Groups or people who may approve, and how many of them must; none: a rule does. */
  by: z.array(name),
  count: z.int(),
  reason_required: z.boolean(),
  /** A regular expression that the reason must hold. */
  ticket: z.string().nullable(),
})
/** Null: nothing; for a target that is not there, and for what a rule gives only after more than words. */
export const offerAnswer = z.object({ offer: offer.nullable() })
export const waiterId = z.string().regex(/^w_[0-9a-z]{16}$/) as unknown as z.ZodType<WaiterId, string>
const asker = {
  gateway: name,
  waiter: waiterId,
  /** Somebody whom the gateway has identified. */
  subject: name,
  login: loginId.optional(),
  /** Their network address. */
  client: z.string().min(1).max(limits.address_chars_max),
}
export const askedHere = z.strictObject({
  ...asker,
  /** What they are in. */
  protocol: z.enum(["ssh", "postgres"]),
  /** When they stop waiting, whatever has become of it. */
  until: millis,
  target: name,
  as: newRequest.shape.as,
  duration_ms: newRequest.shape.duration_ms,
  reason: words.default(""),
})
export const leftHere = z.strictObject(asker)

export type Offer = z.infer<typeof offer>
