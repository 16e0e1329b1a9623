// The gateway's ear at the approval service: one long HTTP answer, a line for every change. It keeps the sequence to resume from
// and the time of the last word, which is what "fresh" means: when it was sent, not when it was read, for it may have lain on its way
// while we slept or the network was cut. What a change does is the gateway's business.
import { Client } from "undici"
import type { Credential } from "../../api/client.ts"
import { feedLine, type FeedLine } from "../../api/feed_schema.ts"
import { routes } from "../../api/routes.ts"
import { contentOfCall, queryOf, service_header } from "../../api/signed_call.ts"
import type { Clock, Millis, Timer } from "../../core/clock.ts"
import { limits } from "../../core/limits.ts"
import type { Log } from "../../observe/log.ts"

export interface FeedOptions {
  readonly url: string
  readonly credential: Credential
  readonly clock: Clock
  readonly log: Log
  onChange(line: Extract<FeedLine, { kind: "grant" | "request" | "hold" | "estimate" | "kill" | "person" | "login" }>): void
  /** A connection begins; the service may have been started anew with other people in its config. */
  onConnect(): void
  /** The service's history is behind what was already heard: it is another history. */
  onOtherHistory(): void
}

interface Moment {
  readonly asked_at: Millis
  readonly at: Millis
  readonly service: string | undefined
}

export class Feed {
  readonly #options: FeedOptions
  readonly #stop = new AbortController()
  #sequence: number | undefined
  /** Whose sequence that is. */
  #history: string | undefined
  #heard: Millis = -Infinity
  /** One moment by two clocks: at `at` by the service's it was `asked_at` or later by ours. Undefined: it does not tell its time. */
  #moment: Moment | undefined
  /** Whether everything up to the service's present has been heard. */
  #caughtUp = false
  #attempts = 0
  #retry: Timer | undefined
  #waiting: (() => void)[] = []

  constructor(options: FeedOptions) {
    this.#options = options
  }

  /** Whether the service was heard within the freshness bound: what the gateway knows may be used to open something new. */
  get fresh(): boolean {
    return this.#options.clock.now() - this.#heard <= limits.freshness_ms
  }

  /** The service answered something else that was asked at `asked_at`: how its clock stands to ours, measured anew, for clocks drift. */
  measured(moment: Moment): void {
    const slow = this.#options.clock.now() - moment.asked_at > limits.heartbeat_ms
    // Several services may stand behind one address.
    if (!slow && moment.service === this.#moment?.service) this.#moment = moment
  }

  start(): void {
    void this.#listen()
  }

  /** Settles when the service has been heard for the first time. */
  connected(): Promise<void> {
    return this.#sequence === undefined ? new Promise((resolve) => this.#waiting.push(resolve)) : Promise.resolve()
  }

  close(): void {
    this.#retry?.cancel()
    this.#stop.abort()
  }

  async #listen(): Promise<void> {
    const { url, credential, clock, log } = this.#options
    const history = this.#history === undefined ? "" : `&history=${encodeURIComponent(this.#history)}`
    const after = this.#sequence === undefined ? "" : `?after=${this.#sequence}${history}`
    // A connection of its own: silence on it means that the service is silent.
    const client = new Client(url, {
      bodyTimeout: limits.freshness_ms,
      headersTimeout: limits.freshness_ms,
      connect: { timeout: limits.freshness_ms },
    })
    try {
      const { method, path } = routes.feed
      const asked_at = clock.now()
      const shown = await credential({ method, path, content: contentOfCall(queryOf(after), "") })
      const { statusCode, headers, body } = await client.request({
        method,
        path: path + after,
        headers: { authorization: `Bearer ${shown.reveal()}` },
        signal: this.#stop.signal,
      })
      const misdirected = credential.answered?.(shown, { service: headers[service_header], refused: statusCode === 401 }) === true
      if (statusCode !== 200) {
        await body.dump()
        if (misdirected) throw new Error("another approval service answered than before")
        if (statusCode === 401) this.#shutOut()
        throw new Error(`the approval service answered the feed with ${statusCode}`)
      }
      body.setEncoding("utf8")
      let rest = ""
      for await (const text of body) {
        const lines = (rest + String(text)).split("\n")
        rest = lines.pop() ?? ""
        if (rest.length > limits.control_body_bytes_max) throw new Error("a feed line is larger than allowed")
        for (const line of lines) if (line !== "") this.#hear(feedLine.parse(JSON.parse(line)), asked_at)
      }
      throw new Error("the approval service closed the feed")
    } catch (err) {
      if (this.#stop.signal.aborted) return
      log.warn({ err, fresh: this.fresh }, "lost the approval service's feed; trying again")
      const delay_ms = Math.min(100 * 2 ** this.#attempts++, limits.feed_retry_ms_max)
      this.#retry = clock.after(delay_ms, () => void this.#listen())
    } finally {
      void client.destroy()
    }
  }

  /** It is no gateway of the service's, or not any more: what it has heard so far is good for nothing new. */
  #shutOut(): never {
    this.#heard = -Infinity
    throw new Error(
      "the approval service does not know this gateway: list the key that `sluice gateway-key` prints under its approvals.gateways, or give both the same gateway_key; and see that the clocks agree",
    )
  }

  #hear(line: FeedLine, asked_at: Millis): void {
    switch (line.kind) {
      case "hello": {
        this.#attempts = 0
        this.#moment = line.at === undefined ? undefined : { asked_at, at: line.at, service: line.service }
        this.#options.onConnect()
        const known = this.#sequence
        const other = this.#history !== undefined && line.history !== undefined && line.history !== this.#history
        this.#history = line.history ?? this.#history
        if (known !== undefined && (other || line.sequence < known)) this.#options.onOtherHistory()
        // What was missed follows, of another history all of it, and only then a beat: until that one, what we know may be out of date.
        this.#caughtUp = !other && (known === undefined || line.sequence <= known)
        if (other) this.#sequence = 0
        else if (known === undefined || line.sequence < known) this.#sequence = line.sequence
        for (const resolve of this.#waiting.splice(0)) resolve()
        break
      }
      case "beat":
        this.#caughtUp = true
        break
      case "grant":
      case "request":
      case "hold":
      case "estimate":
      case "kill":
      case "person":
      case "login":
        this.#options.onChange(line)
        this.#sequence = line.sequence
        return
    }
    if (!this.#caughtUp) return
    this.#heard = Math.max(this.#heard, this.#sentAt(line.at))
    // Not even this word is new: where it came from there may be more that lie. A new connection begins with the present.
    if (!this.fresh) throw new Error("the approval service's words come too late")
  }

  /** By our clock, and rather too early than too late. */
  #sentAt(at: Millis | undefined): Millis {
    const now = this.#options.clock.now()
    return at === undefined || this.#moment === undefined ? now : Math.min(now, this.#moment.asked_at + (at - this.#moment.at))
  }
}
