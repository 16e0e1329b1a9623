// The store's part about certificate authorities. The rules are in `../authorities/authorities.ts`.
import type { Selectable } from "kysely"
import { limits } from "../../core/limits.ts"
import type { AuthorityRecord, AuthorityReads, AuthorityWrites } from "../authorities/authority_record.ts"
import type { Door } from "./reads.ts"
import type { AuthoritiesTable } from "./tables.ts"

export function authorityReads({ db }: Door): AuthorityReads {
  return {
    async authorities() {
      const rows = await db
        .selectFrom("authorities")
        .selectAll()
        .orderBy("created_at", "desc")
        .orderBy("generation", "desc")
        .limit(limits.list_rows_max)
        .execute()
      return rows.map(toAuthority)
    },
  }
}

export function authorityWrites({ db }: Door): AuthorityWrites {
  return {
    async addAuthority({ public: public_part, ...rest }) {
      await db
        .insertInto("authorities")
        .values({ ...rest, public_part })
        .execute()
    },
    async changeAuthority({ id, signed_until, retired_at }) {
      await db.updateTable("authorities").set({ signed_until, retired_at }).where("id", "=", id).execute()
    },
  }
}

const toAuthority = ({ public_part, ...rest }: Selectable<AuthoritiesTable>): AuthorityRecord =>
  ({ ...rest, public: public_part }) as AuthorityRecord
