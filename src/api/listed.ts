// Things as the API's lists show them, and places in lists. Part of `schema.ts` in all but the file.
import { z } from "zod"
import { grant, session } from "./schema.ts"

/** Whether the one who asks may end it, as somebody else's. */
const ending = { may_end: z.boolean() }
export const listedGrant = grant.extend(ending).meta({ id: "ListedGrant" })
export const listedSession = session.extend(ending).meta({ id: "ListedSession" })

/** Of a session in their list: when it began, and its id. */
export const sessionPlace = z.string().regex(/^\d{1,15}\.s_[0-9a-z]{16}$/)

export type ListedGrant = z.infer<typeof listedGrant>
export type ListedSession = z.infer<typeof listedSession>
