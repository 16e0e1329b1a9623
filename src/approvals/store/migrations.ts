// The store's schema as numbered steps, each with its way back; the same steps for both databases. A step that was released is
// never edited: the next one changes what it made. It owns the order and the count, not the connection.
import type { Dialect } from "./dialect.ts"
import { tables } from "./steps/step_1_tables.ts"
import { grants } from "./steps/step_2_grants.ts"
import { outbox } from "./steps/step_3_outbox.ts"
import { people } from "./steps/step_4_people.ts"
import { authorities } from "./steps/step_5_authorities.ts"
import { rulings } from "./steps/step_6_rulings.ts"
import { tokenKeys } from "./steps/step_7_token_keys.ts"
import { history } from "./steps/step_8_history.ts"
import { gateways } from "./steps/step_9_gateways.ts"
import { tokenKeyEnds } from "./steps/step_10_token_key_ends.ts"
import { waits } from "./steps/step_11_waits.ts"
import { tcp } from "./steps/step_12_tcp.ts"
import { targetAuthorities } from "./steps/step_13_target_authorities.ts"
import { holds } from "./steps/step_14_holds.ts"
import { estimates } from "./steps/step_15_estimates.ts"
import { deciders } from "./steps/step_16_deciders.ts"

export interface Step {
  /** SQL, several statements. Foreign keys are checked when all steps are done, so that SQLite's way to change a table works. */
  up(dialect: Dialect): string
  /** Undoes `up`. What only the newer schema can hold is lost. */
  down(dialect: Dialect): string
}

const steps: readonly Step[] = [
  tables,
  grants,
  outbox,
  people,
  authorities,
  rulings,
  tokenKeys,
  history,
  gateways,
  tokenKeyEnds,
  waits,
  tcp,
  targetAuthorities,
  holds,
  estimates,
  deciders,
]

export const schema_version = steps.length

/** A database inside a transaction of its own, in which nobody else migrates. */
export interface Migrated {
  readonly dialect: Dialect
  /** How many steps it has been through; 0: it is empty. */
  version(): Promise<number>
  setVersion(version: number): Promise<void>
  exec(sql: string): Promise<void>
}

/** Takes it to `to`; answers where it was. Throws, with words for the operator, when it was made by a newer program. */
export async function migrate(database: Migrated, to = schema_version): Promise<number> {
  const from = await database.version()
  if (from > schema_version)
    throw new Error(`the store is of version ${from} and this program knows up to ${schema_version}: start a newer sluice`)
  for (const step of steps.slice(from, to)) await database.exec(step.up(database.dialect))
  for (const step of steps.slice(to, from).reverse()) await database.exec(step.down(database.dialect))
  if (from !== to) await database.setVersion(to)
  return from
}
