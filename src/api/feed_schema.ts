// What gateways hear on the feed, one JSON object a line.
import { z } from "zod"
import { holdStanding } from "./hold_schema.ts"
import { grant, loginStanding, newRequest, personStanding, requestId, sessionId } from "./schema.ts"

const name = newRequest.shape.target
const millis = z.int().nonnegative()

/**
 * One line of the feed. `hello` is the first on a connection: where the feed stands; `beat` says that nothing has happened. Both say
 * when they were sent, by the service's clock, and by which service; one of an earlier version leaves that out.
 */
export const feedLine = z.discriminatedUnion("kind", [
  z.object({
    kind: z.literal("hello"),
    sequence: z.int(),
    history: name.optional(),
    at: millis.optional(),
    service: z.string().optional(),
  }),
  z.object({ kind: z.literal("beat"), sequence: z.int(), at: millis.optional() }),
  z.object({ kind: z.literal("grant"), sequence: z.int(), grant }),
  z.object({ kind: z.literal("person"), sequence: z.int(), person: personStanding }),
  z.object({ kind: z.literal("login"), sequence: z.int(), login: loginStanding }),
  // What became of a request; the grant that it made follows.
  z.object({
    kind: z.literal("request"),
    sequence: z.int(),
    request: requestId,
    status: z.enum(["approved", "denied", "withdrawn", "lapsed"]),
    by: name,
    reason: z.string(),
  }),
  z.object({ kind: z.literal("hold"), sequence: z.int(), hold: holdStanding.omit({ url: true }) }),
  // Somebody who may decide about a held statement asks how much it would do.
  z.object({ kind: z.literal("estimate"), sequence: z.int(), request: requestId, by: name }),
  z.object({ kind: z.literal("kill"), sequence: z.int(), session: sessionId, by: name, reason: z.string() }),
])

export type FeedLine = z.infer<typeof feedLine>
