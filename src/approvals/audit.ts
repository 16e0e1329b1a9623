// The audit log to read, for those who may see everything. It is written by `journal.ts`, and nobody changes it.
import type { AuditEvent } from "../api/schema.ts"
import { GatewayError } from "../core/errors.ts"
import { limits } from "../core/limits.ts"
import type { Person } from "./policy.ts"
import type { EventsWanted, Store } from "./store.ts"

/** A page; what is left out does not matter. */
export type AuditQuery = Omit<EventsWanted, "limit"> & { readonly limit?: number | undefined }

export class Audit {
  readonly #store: Pick<Store, "auditLog">

  constructor({ store }: { readonly store: Pick<Store, "auditLog"> }) {
    this.#store = store
  }

  /** Newest first. Throws `forbidden`. */
  async list(person: Person, { limit, ...wanted }: AuditQuery): Promise<readonly AuditEvent[]> {
    if (!person.admin && !person.auditor) throw new GatewayError("forbidden")
    return this.#store.auditLog({ ...wanted, limit: Math.min(limit ?? limits.list_rows_max, limits.list_rows_max) })
  }
}
