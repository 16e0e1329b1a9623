// Held actions, as the service is asked about them and as approvers see them.
import { z } from "zod"
import { limits } from "../core/limits.ts"
import { grantId, millis, name, requestId, sessionId } from "./id_schema.ts"

/** An action that waits on a connection until somebody decides about it. Texts are as they would run, not escaped. */
export const heldAction = z
  .object({
    session: sessionId,
    grant: grantId,
    protocol: z.enum(["ssh", "postgres", "http", "tcp"]),
    /** Of the very action with its values: the approval is for this alone. */
    digest: z.string().regex(/^sha256:[0-9a-f]{64}$/),
    text: z.string().max(limits.hold_text_chars_max),
    /** Bound values of a prepared statement, in their order; binary ones in hex, null for SQL's NULL. */
    values: z.array(z.string().nullable()),
    /** What it does, as far as its syntax says: "delete"; null where that is not looked at. */
    action_kind: z.string().nullable(),
    tables: z.array(z.string()),
    /** Functions that may do more than is seen. */
    calls: z.array(z.string()),
    /** What else there is to know, in Sluice's words. */
    notes: z.array(z.string()),
    /** The session's last actions, oldest first, shortened. */
    recent: z.array(z.string()),
  })
  .meta({ id: "HeldAction" })

/** How much a held SQL statement would do, as the server's planner guesses: rows read or changed and its cost; or why there is no guess. */
export const estimate = z
  .object({ rows: z.number().nonnegative().nullable(), cost: z.number().nonnegative().nullable(), why: z.string().max(200).nullable() })
  .meta({ id: "Estimate" })

export const holdWanted = z.strictObject({
  gateway: name,
  /** Who wants it must be whom the grant is for. */
  action: z.strictObject(heldAction.shape),
  /** The rule that holds it, as the gateway has it. */
  rule: z.strictObject({ index: z.int().nonnegative(), digest: z.string().max(64) }),
  /** "session": for that session alone. "identity": for who asks again for the same. */
  binding: z.enum(["session", "identity"]),
})
export const holdProof = z.strictObject({ gateway: name, session: sessionId, digest: heldAction.shape.digest })
export const holdEstimate = holdProof.extend({ estimate: z.strictObject(estimate.shape) })
export const holdStanding = z.object({
  id: requestId,
  url: z.string(),
  status: z.enum(["pending", "approved", "denied", "withdrawn", "lapsed"]),
  /** Who decided, and their words. */
  by: z.array(name),
  reason: z.string(),
  expires_at: millis,
  /** So many of these approve; an older service does not say. */
  approvers: z.object({ of: z.array(name), count: z.int() }).optional(),
})

export type HeldAction = z.infer<typeof heldAction>
export type Estimate = z.infer<typeof estimate>
export type HoldWanted = z.infer<typeof holdWanted>
export type HoldStanding = z.infer<typeof holdStanding>
