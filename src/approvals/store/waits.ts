// The table of those who wait in a tool: reads and writes of one change.
import type { Change } from "../store.ts"
import type { Door } from "./reads.ts"

export function waitWrites({ db }: Door): Pick<Change, "addWait" | "endWait"> {
  return {
    async addWait({ waiter, request, until, filed, now }) {
      // Of what is over there is nothing to take back. One who was not heard of again counts no more, and is not needed.
      await db
        .deleteFrom("waits")
        .where("until", "<=", now)
        .where((eb) =>
          eb.not(
            eb.exists(
              eb.selectFrom("requests as r").select("r.id").whereRef("r.id", "=", "waits.request").where("r.state", "=", "pending"),
            ),
          ),
        )
        .execute()
      await db
        .insertInto("waits")
        .values({ waiter, request, until, filed: filed ? 1 : 0 })
        .onConflict((conflict) => conflict.column("waiter").doUpdateSet({ until }))
        .execute()
    },
    async endWait({ waiter, request, now }) {
      await db.updateTable("waits").set({ until: 0 }).where("waiter", "=", waiter).where("request", "=", request).execute()
      const waits = await db.selectFrom("waits").select(["until", "filed"]).where("request", "=", request).execute()
      return { filed: waits.some(({ filed }) => filed === 1), waiting: waits.filter(({ until }) => until > now).length }
    },
  }
}
