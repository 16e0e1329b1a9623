// The store's part about gateways. The rules are in `../gateways/gateways.ts` and `gateway_watch.ts` beside it.
import type { Selectable } from "kysely"
import { limits } from "../../core/limits.ts"
import type { GatewayReads, GatewayRecord, GatewayWrites } from "../gateways/gateway_record.ts"
import type { Door } from "./reads.ts"
import type { GatewaysTable } from "./tables.ts"

export function gatewayReads({ db }: Door): GatewayReads {
  return {
    async gateways() {
      const rows = await db.selectFrom("gateways").selectAll().orderBy("name").limit(limits.gateways_max).execute()
      return rows.map(toGateway)
    },
    async gateway(name) {
      const row = await db.selectFrom("gateways").selectAll().where("name", "=", name).executeTakeFirst()
      return row && toGateway(row)
    },
    async openSessionCounts() {
      const rows = await db
        .selectFrom("sessions")
        .select((eb) => ["gateway", eb.fn.countAll<number>().as("count")])
        .where("ended_at", "is", null)
        .groupBy("gateway")
        .execute()
      return new Map(rows.map(({ gateway, count }) => [gateway, count]))
    },
  }
}

export function gatewayWrites({ db }: Door): GatewayWrites {
  return {
    async putGateway({ from, listening, ...rest }) {
      const { name, ...row } = { ...rest, from_address: from, listening: JSON.stringify(listening) }
      await db
        .insertInto("gateways")
        .values({ name, ...row })
        .onConflict((conflict) => conflict.column("name").doUpdateSet(row))
        .execute()
    },
    async touchGateway({ name, instance, seen_at, service }) {
      const { numUpdatedRows } = await db
        .updateTable("gateways")
        .set({ seen_at, service })
        .where("name", "=", name)
        .where("instance", "=", instance)
        .where("lost_at", "is", null)
        .executeTakeFirst()
      return numUpdatedRows > 0n
    },
    async removeGateways(names) {
      if (names.length > 0) await db.deleteFrom("gateways").where("name", "in", names).execute()
    },
  }
}

const toGateway = ({ from_address, listening, ...rest }: Selectable<GatewaysTable>): GatewayRecord =>
  ({ ...rest, from: from_address, listening: JSON.parse(listening) as GatewayRecord["listening"] }) as GatewayRecord
