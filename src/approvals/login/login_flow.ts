// What a browser carries through a company login: where it wants to go, and the secrets that bind the answer to it. It is sealed in
// a cookie of its own for each login, so that two tabs do not disturb each other, and so that somebody who only knocks costs nothing.
import { createHash, hkdfSync } from "node:crypto"
import { EncryptJWT, jwtDecrypt } from "jose"
import { z } from "zod"
import type { Clock } from "../../core/clock.ts"
import { limits } from "../../core/limits.ts"
import type { Secret } from "../../core/secret.ts"
import { cookieValue, type PublicPlace } from "../public_place.ts"

const flow = z.object({
  state: z.string(),
  nonce: z.string(),
  verifier: z.string(),
  max_age_s: z.number().optional(),
  /** The path to go to afterwards. */
  back: z.string(),
})
export type BrowserFlow = z.infer<typeof flow>

export class LoginFlows {
  readonly #key: Uint8Array
  readonly #place: PublicPlace
  readonly #clock: Clock

  /** `secret`: the same for each service of one store, because the answer may come to another one. */
  constructor({ secret, place, clock }: { readonly secret: Secret; readonly place: PublicPlace; readonly clock: Clock }) {
    this.#key = new Uint8Array(hkdfSync("sha256", secret.reveal(), "", "sluice login flow", 32))
    this.#place = place
    this.#clock = clock
  }

  /** The cookie that keeps it. */
  async keep(value: BrowserFlow): Promise<string> {
    const now_s = Math.floor(this.#clock.now() / 1000)
    const sealed = await new EncryptJWT({ flow: value })
      .setProtectedHeader({ alg: "dir", enc: "A256GCM" })
      .setExpirationTime(now_s + limits.login_flow_ms / 1000)
      .encrypt(this.#key)
    return this.#place.setCookie(nameOf(value.state), sealed, limits.login_flow_ms / 1000)
  }

  /** The one that began with `state`, if this browser began it and it is not too old. */
  async find(header: string | undefined, state: string): Promise<BrowserFlow | undefined> {
    const sealed = cookieValue(header, this.#place.cookieName(nameOf(state)))
    if (sealed === undefined) return undefined
    try {
      const { payload } = await jwtDecrypt(sealed, this.#key, {
        keyManagementAlgorithms: ["dir"],
        contentEncryptionAlgorithms: ["A256GCM"],
        currentDate: new Date(this.#clock.now()),
        requiredClaims: ["exp"],
      })
      const found = flow.parse(payload["flow"])
      return found.state === state ? found : undefined
    } catch {
      return undefined // made by nobody here, or too old: as if it were not there
    }
  }

  forget(state: string): string {
    return this.#place.setCookie(nameOf(state), "", 0)
  }
}

const nameOf = (state: string): string => `sluice-login-${createHash("sha256").update(state).digest("hex").slice(0, 12)}`
