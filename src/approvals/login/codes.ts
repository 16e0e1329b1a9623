// Codes that are shown once: an authorization code, a device code, a link to sign in. Unguessable, short-lived, kept as digests, and
// taken by whoever comes first. What one stands for is the business of those who make it.
import { randomBytes } from "node:crypto"
import type { z } from "zod"
import type { Clock } from "../../core/clock.ts"
import { GatewayError } from "../../core/errors.ts"
import { limits } from "../../core/limits.ts"
import { digestOf } from "./logins.ts"
import type { CodeRecord } from "../people/people_store.ts"
import type { Change, Reader } from "../store.ts"

/** One kind of code: its name, its life, and what it stands for. */
export interface CodeKind<Detail> {
  readonly name: string
  readonly life_ms: number
  readonly detail: z.ZodType<Detail>
}

export class Codes {
  readonly #clock: Clock

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /** Throws `too_many`. */
  async make<Detail>(change: Change, kind: CodeKind<Detail>, detail: Detail, user_code: string | null = null): Promise<string> {
    const now = this.#clock.now()
    await change.dropCodes(now)
    if ((await change.codeCount(kind.name)) >= limits.codes_max) throw new GatewayError("too_many")
    const code = randomBytes(32).toString("base64url")
    await change.addCode({ digest: digestOf(code), kind: kind.name, user_code, expires_at: now + kind.life_ms, detail })
    return code
  }

  /** What it stands for, while it lasts. */
  async look<Detail>(reader: Reader, kind: CodeKind<Detail>, shown: string): Promise<Detail | undefined> {
    return this.#detail(kind, await reader.code(kind.name, digestOf(shown)))
  }

  async lookCalled<Detail>(reader: Reader, kind: CodeKind<Detail>, user_code: string): Promise<Called<Detail> | undefined> {
    const record = await reader.codeCalled(kind.name, user_code)
    const detail = this.#detail(kind, record)
    return record && detail && { digest: record.digest, detail }
  }

  /** The same, and it is gone. */
  async take<Detail>(change: Change, kind: CodeKind<Detail>, shown: string): Promise<Detail | undefined> {
    return this.#detail(kind, await change.takeCode(kind.name, digestOf(shown)))
  }

  #detail<Detail>(kind: CodeKind<Detail>, record: CodeRecord | undefined): Detail | undefined {
    return record && this.#clock.now() < record.expires_at ? kind.detail.parse(record.detail) : undefined
  }
}

export interface Called<Detail> {
  readonly digest: string
  readonly detail: Detail
}
