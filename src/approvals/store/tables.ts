// The tables as SQL has them, for typed queries; the steps in `steps/` make them. Lists and details are JSON in text on both
// stores, so that equal ones are equal text; `as`, `by` and `from` are no names in SQL.
import type { Generated } from "kysely"

export interface RequestsTable {
  id: number
  subject: string
  groups: string
  target: string
  accounts: string | null
  duration_ms: number
  starts_at: number | null
  reason: string
  created_at: number
  lapses_at: number
  state: string
  rule: string
  approve_by: string
  approvals_needed: number
  actions: string | null
  uses: number | null
  first_use_within_ms: number | null
  extends_grant: string | null
  extends_to: number | null
  plan: string | null
  escalate_at: number | null
  escalate_to: string | null
  escalated: Generated<number>
  lapse_told: Generated<number>
  review_by: string | null
  review_due_at: number | null
  overdue_told: Generated<number>
  reviewed_by: Generated<string | null>
  reviewed_at: Generated<number | null>
  review_note: Generated<string | null>
  hold: string | null
  hold_grant: string | null
  hold_session: string | null
  hold_digest: string | null
  redeemed_at: Generated<number | null>
}

export interface DecisionsTable {
  /** In the order of writing; SQLite has it by itself. */
  rowid: Generated<number>
  request: number
  by_name: string
  actor: string
  verdict: string
  reason: string
  at: number
  steps: string | null
}

export interface GrantsTable {
  id: string
  request: number
  subject: string
  target: string
  accounts: string | null
  starts_at: number
  ends_at: number
  status: string
  revision: number
  first_use_ms: number | null
  actions: string | null
  uses_max: number | null
  uses_left: number | null
  ended_by: string | null
  ended_reason: string | null
  ended_at: number | null
}

export interface SessionsTable {
  id: string
  gateway: string
  protocol: string
  subject: string
  target: string
  account: string | null
  grant_id: string
  client: string
  started_at: number
  ended_at: number | null
  ended_why: string | null
}

export interface EventsTable {
  sequence: number
  at: number
  kind: string
  actor: string
  by_name: string
  from_address: string | null
  reason: string
  rule: string | null
  request: number | null
  grant_id: string | null
  session_id: string | null
  detail: string
}

export interface DeliveriesTable {
  id: string
  channel: string
  recipient: string
  sequence: number
  attempts: number
  next_at: number
  give_up_at: number
}

export interface PeopleTable {
  iss: string
  sub: string
  subject: string
  subject_lower: string
  email: string | null
  groups: string
  created_at: number
  seen_at: number
  revision: number
}

export interface StandingsTable {
  subject: string
  disabled: number
  at: number
  by_name: string
  reason: string
  revision: number
}

export interface LoginsTable {
  id: string
  subject: string
  sub: string | null
  kind: string
  via: string
  created_at: number
  auth_time: number | null
  acr: string | null
  expires_at: number
  used_at: number
  digest: string
  previous: string | null
  rotated_at: number | null
  from_address: string
  ended_at: number | null
  ended_by: string | null
  ended_why: string | null
  revision: number
}

export interface CodesTable {
  digest: string
  kind: string
  user_code: string | null
  expires_at: number
  detail: string
}

export interface AuthoritiesTable {
  id: string
  kind: string
  owner: string
  generation: number
  public_part: string
  created_at: number
  signed_until: number
  retired_at: number | null
}

export interface TokenKeysTable {
  kid: string
  jwk: string
  seen_at: number
  retired_at: Generated<number | null>
  good_until: Generated<number | null>
}

export interface GatewaysTable {
  name: string
  instance: string
  version: string
  started_at: number
  listening: string
  service: string
  from_address: string
  seen_at: number
  lost_at: number | null
}

export interface WaitsTable {
  waiter: string
  request: number
  until: number
  filed: number
}

export interface Tables {
  gateways: GatewaysTable
  history: { one: number; id: string }
  token_keys: TokenKeysTable
  requests: RequestsTable
  decisions: DecisionsTable
  grants: GrantsTable
  sessions: SessionsTable
  events: EventsTable
  people: PeopleTable
  standings: StandingsTable
  logins: LoginsTable
  codes: CodesTable
  authorities: AuthoritiesTable
  waits: WaitsTable
  probe: { id: number; at: number }
  outbox: { id: number; sequence: number }
  deliveries: DeliveriesTable
  slack_answers: { digest: string; at: number }
}
