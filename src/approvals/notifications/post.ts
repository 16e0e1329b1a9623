// One POST to a receiver that may be slow, hostile or gone: bounded in time and in what is read of its answer; redirects are answers
// like any other, and not followed.
import { Agent, request } from "undici"
import type { Clock } from "../../core/clock.ts"
import { limits } from "../../core/limits.ts"

export interface Posting {
  readonly url: URL
  readonly headers: Readonly<Record<string, string>>
  readonly body: string
}

export type Sent =
  | { readonly done: true }
  /** `why` is in our words. `retry_ms`: what the receiver asks us to wait. `never`: it says that it wants no more. */
  | { readonly done: false; readonly why: string; readonly retry_ms?: number; readonly never?: true }

export class Poster {
  readonly #clock: Clock
  readonly #agent = new Agent({ pipelining: 1, maxHeaderSize: limits.notification_answer_bytes_max })

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /** Never rejects. */
  async post({ url, headers, body }: Posting, signal: AbortSignal): Promise<Sent> {
    const controller = new AbortController()
    const stop = (): void => controller.abort()
    const timer = this.#clock.after(limits.notification_send_ms_max, stop)
    signal.addEventListener("abort", stop, { once: true })
    if (signal.aborted) stop()
    try {
      const answer = await request(url, {
        method: "POST",
        headers: { "user-agent": "sluice", ...headers },
        body,
        dispatcher: this.#agent,
        signal: controller.signal,
        headersTimeout: 0, // the timer above is for the whole
        bodyTimeout: 0,
      })
      await answer.body.dump({ limit: limits.notification_answer_bytes_max, signal: controller.signal }).catch(() => {})
      return judged(answer.statusCode, answer.headers["retry-after"])
    } catch (failure) {
      if (controller.signal.aborted) return { done: false, why: signal.aborted ? "stopped" : "no answer in time" }
      const { code = "" } = failure as NodeJS.ErrnoException
      return { done: false, why: `no answer${code ? ` (${code})` : ""}` }
    } finally {
      timer.cancel()
      signal.removeEventListener("abort", stop)
    }
  }

  close(): Promise<void> {
    return this.#agent.destroy()
  }
}

function judged(status: number, retryAfter: string | string[] | undefined): Sent {
  if (status >= 200 && status < 300) return { done: true }
  if (status === 410) return { done: false, why: "answered 410: gone", never: true }
  const seconds = typeof retryAfter === "string" && /^\d{1,6}$/.test(retryAfter) ? Number(retryAfter) : undefined
  return { done: false, why: `answered ${status}`, ...(seconds === undefined ? {} : { retry_ms: seconds * 1_000 }) }
}
