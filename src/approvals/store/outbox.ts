// The outbox in the store: deliveries that wait, how far the audit log was turned into them, and which answers were seen.
import type { Selectable } from "kysely"
import type { Delivery, OutboxChange, OutboxReader } from "../notifications/outbox.ts"
import type { Door } from "./reads.ts"
import { toEvent } from "./rows.ts"
import type { DeliveriesTable } from "./tables.ts"

export function outboxReader({ db }: Door): OutboxReader {
  return {
    async events(after, limit) {
      const rows = await db.selectFrom("events").selectAll().where("sequence", ">", after).orderBy("sequence").limit(limit).execute()
      return rows.map(toEvent)
    },
    async outboxThrough() {
      return (await db.selectFrom("outbox").select("sequence").where("id", "=", 1).executeTakeFirst())?.sequence
    },
    async nextDelivery(channels) {
      if (channels.length === 0) return undefined
      const row = await db
        .selectFrom("deliveries")
        .select("next_at")
        .where("channel", "in", channels)
        .orderBy("next_at")
        .limit(1)
        .executeTakeFirst()
      return row?.next_at
    },
  }
}

export function outboxChanger({ db }: Door): OutboxChange {
  return {
    async setOutboxThrough(sequence) {
      await db
        .insertInto("outbox")
        .values({ id: 1, sequence })
        .onConflict((conflict) => conflict.column("id").doUpdateSet({ sequence }))
        .execute()
    },
    async waitingDeliveries(channel) {
      const { count } = await db
        .selectFrom("deliveries")
        .select((eb) => eb.fn.countAll<number>().as("count"))
        .where("channel", "=", channel)
        .executeTakeFirstOrThrow()
      return count
    },
    async addDelivery(delivery) {
      await db
        .insertInto("deliveries")
        .values({ ...delivery, attempts: 0 })
        .onConflict((conflict) => conflict.columns(["sequence", "channel", "recipient"]).doNothing())
        .execute()
    },
    async claimDeliveries({ channel, now, until, limit }) {
      const due = await db
        .selectFrom("deliveries")
        .selectAll()
        .where("channel", "=", channel)
        .where("next_at", "<=", now)
        .orderBy("next_at")
        .orderBy("sequence")
        .limit(limit)
        .execute()
      const claimed: Delivery[] = []
      for (const row of due) {
        const attempts = row.attempts + 1
        const { numUpdatedRows } = await db
          .updateTable("deliveries")
          .set({ attempts, next_at: until })
          .where("id", "=", row.id)
          .where("attempts", "=", row.attempts)
          .executeTakeFirst()
        if (numUpdatedRows > 0n) claimed.push(toDelivery({ ...row, attempts, next_at: until }))
      }
      return claimed
    },
    async retryDelivery({ id, attempts }, next_at) {
      await db.updateTable("deliveries").set({ next_at }).where("id", "=", id).where("attempts", "=", attempts).execute()
    },
    async removeDelivery(id) {
      await db.deleteFrom("deliveries").where("id", "=", id).execute()
    },
    async removeDeliveriesOver(given_up_before) {
      await db.deleteFrom("deliveries").where("give_up_at", "<", given_up_before).execute()
    },
    async firstAnswer(digest, { at, forget_before }) {
      await db.deleteFrom("slack_answers").where("at", "<", forget_before).execute()
      const { numInsertedOrUpdatedRows = 0n } = await db
        .insertInto("slack_answers")
        .values({ digest, at })
        .onConflict((conflict) => conflict.column("digest").doNothing())
        .executeTakeFirst()
      return numInsertedOrUpdatedRows > 0n
    },
  }
}

const toDelivery = (row: Selectable<DeliveriesTable>): Delivery => row
