// Reads of held actions: requests that wait with an action on a connection.
import type { RequestId } from "../../core/ids.ts"
import { limits } from "../../core/limits.ts"
import type { Reader } from "../store.ts"
import type { Door } from "./reads.ts"

export function holdReads({ db }: Door, request: Reader["request"]): Pick<Reader, "pendingHolds" | "openHolds" | "reusableHold"> {
  return {
    async pendingHolds(subject, now) {
      const { count } = await db
        .selectFrom("requests")
        .select((eb) => eb.fn.countAll<number>().as("count"))
        .where("subject", "=", subject)
        .where("state", "=", "pending")
        .where("hold", "is not", null)
        .where("lapses_at", ">", now)
        .executeTakeFirstOrThrow()
      return count
    },
    async openHolds(of) {
      const [column, value] = "grant" in of ? (["hold_grant", of.grant] as const) : (["hold_session", of.session] as const)
      const rows = await db.selectFrom("requests").select("id").where(column, "=", value).where("state", "=", "pending").execute()
      return rows.map(({ id }) => id as RequestId)
    },
    async reusableHold({ subject, target, digest, grant }, now) {
      const row = await db
        .selectFrom("requests as r")
        .select("r.id")
        .where("r.hold_digest", "=", digest)
        .where("r.subject", "=", subject)
        .where("r.target", "=", target)
        .where("r.hold_grant", "=", grant)
        .where("r.hold_session", "is", null)
        .where("r.lapses_at", ">", now - limits.same_question_ms)
        .where("r.state", "in", ["pending", "approved", "denied"])
        .where("r.redeemed_at", "is", null)
        .orderBy("r.id", "desc")
        .limit(1)
        .executeTakeFirst()
      return row && request(row.id as RequestId)
    },
  }
}
