// What the store keeps of people and their logins, as values: the part of `store.ts` that company login needs.
import type { Millis } from "../../core/clock.ts"
import type { LoginId, RequestId } from "../../core/ids.ts"

/** Somebody who has come by company login. Keyed by `iss` and `sub`; everything else may change at the provider. */
export interface PersonRecord {
  readonly iss: string
  readonly sub: string
  /** Their name here, given once. */
  readonly subject: string
  /** A label, and no proof of anything. */
  readonly email: string | null
  /** As the provider said at the last login. */
  readonly groups: readonly string[]
  readonly created_at: Millis
  readonly seen_at: Millis
  /** The feed sequence of the last change. */
  readonly revision: number
}

/** That somebody was disabled, or enabled again; whoever has none is enabled. */
export interface StandingRecord {
  readonly subject: string
  readonly disabled: boolean
  readonly at: Millis
  readonly by: string
  readonly reason: string
  readonly revision: number
}

/** "web": a browser's session. "cli", "device": the command line, here or on a machine without a browser. */
export type LoginKind = "web" | "cli" | "device"

export interface LoginRecord {
  readonly id: LoginId
  readonly subject: string
  /** The `sub` that logged in; null: proven with an SSH key. */
  readonly sub: string | null
  readonly kind: LoginKind
  /** How it was proven, for the record: "oidc https://login.example.com", "ssh-key SHA256:…". */
  readonly via: string
  readonly created_at: Millis
  /** When the person proved who they are; null: the provider did not say. */
  readonly auth_time: Millis | null
  readonly acr: string | null
  /** Absolute. */
  readonly expires_at: Millis
  readonly used_at: Millis
  /** Of the secret that its holder shows: a session's cookie, or the refresh token. SHA-256 in base64url. */
  readonly digest: string
  /** Of the refresh token before this one, and when that was exchanged. */
  readonly previous: string | null
  readonly rotated_at: Millis | null
  /** Where it was made from. */
  readonly from: string
  readonly ended_at: Millis | null
  readonly ended_by: string | null
  readonly ended_why: string | null
  readonly revision: number
}

/** Something that is shown once: an authorization code, a device code, a link. */
export interface CodeRecord {
  /** Of what is shown. */
  readonly digest: string
  readonly kind: string
  /** What a person types, where they do. */
  readonly user_code: string | null
  readonly expires_at: Millis
  readonly detail: unknown
}

/** What the store keeps of somebody. */
export interface Kept {
  readonly person: PersonRecord | undefined
  readonly standing: StandingRecord | undefined
}

export interface PeopleReader {
  /** What is kept of the one who is called `subject`; each part undefined when there is none. */
  personCalled(subject: string): Promise<Kept>
  /** The same of whoever made a request, with their name; undefined: no such request. */
  asker(request: RequestId): Promise<(Kept & { readonly subject: string }) | undefined>
  personOf(iss: string, sub: string): Promise<PersonRecord | undefined>
  /** Those of `names` that are somebody's, whatever the case. */
  namesTaken(names: readonly string[]): Promise<readonly string[]>
  /** By name, byte by byte, those after `after`. */
  people(after: string, limit: number): Promise<readonly PersonRecord[]>
  /** Of `subjects`, those there are. */
  standings(subjects: readonly string[]): Promise<readonly StandingRecord[]>
  login(id: LoginId): Promise<LoginRecord | undefined>
  loginWith(digest: string): Promise<LoginRecord | undefined>
  /** Those that have not ended, the least lately used first. */
  liveLogins(subject: string, now: Millis): Promise<readonly LoginRecord[]>
  /** When the last of all that have not ended will end. */
  lastLoginEnd(now: Millis): Promise<Millis | undefined>
  code(kind: string, digest: string): Promise<CodeRecord | undefined>
  codeCalled(kind: string, user_code: string): Promise<CodeRecord | undefined>
  codeCount(kind: string): Promise<number>
}

export interface PeopleChange {
  putPerson(person: PersonRecord): Promise<void>
  putStanding(standing: StandingRecord): Promise<void>
  addLogin(login: LoginRecord): Promise<void>
  /** Its secrets and the time it was last used. */
  rotateLogin(login: Pick<LoginRecord, "id" | "digest" | "previous" | "rotated_at" | "used_at">): Promise<void>
  useLogin(id: LoginId, at: Millis): Promise<void>
  endLogin(login: Pick<LoginRecord, "id" | "ended_at" | "ended_by" | "ended_why" | "revision">): Promise<void>
  addCode(code: CodeRecord): Promise<void>
  setCode(code: Pick<CodeRecord, "digest" | "detail">): Promise<void>
  /** Whether it was there: of two who take it, one gets it. */
  takeCode(kind: string, digest: string): Promise<CodeRecord | undefined>
  dropCodes(expired_at: Millis): Promise<void>
}
