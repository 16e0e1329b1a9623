// Logins of machines: a token of their platform in, a short login and a token for this API out. Which tokens are good is
// `identity/workload_tokens.ts`'s to say, what a workload may do policy's; that it never decides about others, too.
import type { WorkloadLogin } from "../../api/schema.ts"
import type { Clock } from "../../core/clock.ts"
import { GatewayError } from "../../core/errors.ts"
import { limits } from "../../core/limits.ts"
import { visible } from "../../core/visible.ts"
import type { TokenIssuer } from "../../identity/tokens.ts"
import type { WorkloadVerifier } from "../../identity/workload_tokens.ts"
import type { Log } from "../../observe/log.ts"
import type { Logins } from "./logins.ts"
import type { People } from "../people/people.ts"
import type { Store } from "../store.ts"

export interface WorkloadLoginsOptions {
  readonly store: Store
  readonly people: People
  readonly logins: Logins
  /** As the config says now. */
  readonly verifier: () => WorkloadVerifier
  readonly issuer: TokenIssuer
  readonly clock: Clock
  readonly log: Log
}

export class WorkloadLogins {
  readonly #options: WorkloadLoginsOptions

  constructor(options: WorkloadLoginsOptions) {
    this.#options = options
  }

  /** Throws `unauthenticated`, `provider_away`. The same token may be shown again while it is good: steps of a job run one by one. */
  async login(token: string, from: string): Promise<WorkloadLogin> {
    const { store, people, logins, verifier, issuer, clock, log } = this.#options
    const { workload, sub } = await verifier()
      .verify(token)
      .catch((err: unknown) => {
        log.info({ err, from }, "a workload's token was refused")
        throw err
      })
    const { name: subject } = workload
    const via = visible(`workload ${sub} of ${workload.issuer}`).slice(0, via_chars_max)
    const wanted = { subject, sub: null, kind: "cli", via, auth_time: null, acr: null, from } as const
    const { login } = await store.change(async (change) => {
      if (!(await people.find(subject, change))) throw new GatewayError("unauthenticated", {}, new Error(`${subject} was disabled`))
      const expires_at = clock.now() + workload.login_ms
      return logins.begin(change, { ...wanted, expires_at }, limits.workload_logins_max)
    })
    const issued = await issuer.issue({ subject, via, use: "api", login })
    return { ...issued, subject, login_expires_at: login.expires_at }
  }
}

const via_chars_max = 200
