// One attempt to deliver one notification, whichever way its channel goes. It owns the connections to receivers.
import type { Channel } from "../../config/config.ts"
import type { CurrentConfig } from "../../config/current_config.ts"
import type { Clock } from "../../core/clock.ts"
import { Mailer } from "./mail.ts"
import type { Notice } from "./notice.ts"
import type { Delivery } from "./outbox.ts"
import { Poster, type Sent } from "./post.ts"
import { slackPosting } from "./slack_message.ts"
import { webhookPosting } from "./webhook.ts"

export interface SenderOptions {
  readonly current: CurrentConfig
  readonly clock: Clock
}

export class Sender {
  readonly #options: SenderOptions
  readonly #poster: Poster
  readonly #stop = new AbortController()

  constructor(options: SenderOptions) {
    this.#options = options
    this.#poster = new Poster(options.clock)
  }

  /** Never rejects. */
  async send(channel: Channel, { delivery, notice }: { readonly delivery: Delivery; readonly notice: Notice }): Promise<Sent> {
    const { current, clock } = this.#options
    const { id, recipient } = delivery
    const { public_url } = current().approvals
    const sending = { id, notice, public_url, now: clock.now() }
    switch (channel.way) {
      case "webhook":
        return this.#poster.post(webhookPosting(channel, sending), this.#stop.signal)
      case "slack":
        return this.#poster.post(slackPosting(channel, sending), this.#stop.signal)
      case "email":
        return new Mailer(channel, clock).send({ id, recipient, notice, public_url }, this.#stop.signal)
    }
  }

  /** Ends what is under way. */
  stop(): void {
    this.#stop.abort()
  }

  close(): Promise<void> {
    return this.#poster.close()
  }
}
