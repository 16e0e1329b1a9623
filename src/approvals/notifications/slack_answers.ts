// Buttons pressed in Slack. An answer counts when Slack signed it within the last minutes, when it was not seen before, when its
// button is one of ours, and when the config says whose Slack user id it is. Then it is that person's approval or denial, with all
// that this means: what the pages would refuse is refused here.
import { createHash, createHmac, timingSafeEqual } from "node:crypto"
import type { IncomingHttpHeaders } from "node:http"
import { z } from "zod"
import type { RequestView } from "../../api/schema.ts"
import type { Config, SlackChannel } from "../../config/config.ts"
import { type CurrentConfig, derived } from "../../config/current_config.ts"
import type { Clock } from "../../core/clock.ts"
import { GatewayError } from "../../core/errors.ts"
import { limits } from "../../core/limits.ts"
import type { Secret } from "../../core/secret.ts"
import { visible } from "../../core/visible.ts"
import type { Log } from "../../observe/log.ts"
import type { Caller } from "../journal.ts"
import { personOf } from "../policy.ts"
import type { People } from "../people/people.ts"
import type { Requests } from "../requests/requests.ts"
import type { Store } from "../store.ts"
import { Poster } from "./post.ts"
import { plain, requestOfButton } from "./slack_message.ts"

export interface SlackAnswersOptions {
  readonly current: CurrentConfig
  readonly people: People
  readonly store: Store
  readonly requests: Requests
  readonly clock: Clock
  readonly log: Log
}

/** What comes from outside: still only somebody's claim. */
export interface Claim {
  readonly channel: SignedChannel
  readonly digest: Buffer
  readonly timestamp: string
}

type SignedChannel = SlackChannel & { readonly signing_secret: Secret }
type Json = Readonly<Record<string, unknown>>

/** Of a `block_actions` payload, what is looked at. */
const pressed = z.object({
  type: z.string().max(64),
  user: z.object({ id: z.string().max(64) }),
  response_url: z.string().max(1_024).optional(),
  actions: z
    .array(z.object({ action_id: z.string().max(255), value: z.string().max(2_000).optional() }))
    .min(1)
    .max(25),
})

export class SlackAnswers {
  readonly #options: SlackAnswersOptions
  readonly #channels: () => ReadonlyMap<string, SignedChannel>
  readonly #poster: Poster
  readonly #updates = new Set<Promise<void>>()
  readonly #stop = new AbortController()

  constructor(options: SlackAnswersOptions) {
    this.#options = options
    this.#poster = new Poster(options.clock)
    this.#channels = derived(options.current, ({ notify }) => new Map(notify.filter(isSigned).map((channel) => [channel.name, channel])))
  }

  /** What can be said before the body is read. Throws `not_found`, `unauthenticated`. */
  claim(name: string, headers: IncomingHttpHeaders): Claim {
    const channel = this.#channels().get(name)
    if (!channel) throw new GatewayError("not_found")
    const { "x-slack-signature": signature, "x-slack-request-timestamp": timestamp } = headers
    const [, hex] = /^v0=([0-9a-f]{64})$/.exec(typeof signature === "string" ? signature : "") ?? []
    if (hex === undefined || typeof timestamp !== "string" || !/^\d{1,12}$/.test(timestamp)) throw new GatewayError("unauthenticated")
    if (Math.abs(this.#options.clock.now() - Number(timestamp) * 1_000) > limits.slack_answer_ms_max)
      throw new GatewayError("unauthenticated")
    return { channel, digest: Buffer.from(hex, "hex"), timestamp }
  }

  /**
   * Takes the answer. What the person may not do is told to them in Slack, and is no failure here. Throws `unauthenticated` when
   * Slack did not sign it, `over` when it was here before, `invalid` when it cannot be read.
   */
  async take({ channel, digest, timestamp }: Claim, body: Buffer, from: string): Promise<void> {
    const { store, clock } = this.#options
    const expected = createHmac("sha256", channel.signing_secret.reveal()).update(`v0:${timestamp}:`).update(body).digest()
    if (!timingSafeEqual(digest, expected)) throw new GatewayError("unauthenticated")
    const answer = parse(body)
    const once = createHash("sha256").update(channel.name).update("\0").update(digest).digest("hex")
    const at = clock.now()
    // Past twice its age an answer is too old to be taken anyway.
    const seen = { at, forget_before: at - 2 * limits.slack_answer_ms_max }
    if (!(await store.change((change) => change.firstAnswer(once, seen)))) throw new GatewayError("over")
    const action = answer.actions.find(({ action_id }) => action_id === "approve" || action_id === "deny")
    if (answer.type !== "block_actions" || !action) return // "Open" is a link, and tells us that it was pressed
    const words = await this.#decide(channel, { user: answer.user.id, action_id: action.action_id, value: action.value ?? "", from })
    this.#update(channel, answer.response_url, words)
  }

  async close(): Promise<void> {
    this.#stop.abort()
    await Promise.all(this.#updates)
    await this.#poster.close()
  }

  /** The message that says what came of it. */
  async #decide(
    channel: SignedChannel,
    { user, action_id, value, from }: { readonly user: string; readonly action_id: string; readonly value: string; readonly from: string },
  ): Promise<Json> {
    const { requests, log } = this.#options
    const id = requestOfButton(channel.signing_secret, value)
    if (id === undefined) return whisper("This button is not one of Sluice's.")
    const caller = await this.#callerOf(channel, user, from)
    if (!caller)
      return whisper("Sluice does not know whose Slack account this is. Decide on the page instead, and tell your administrator.")
    try {
      return outcome(await (action_id === "approve" ? requests.approve(caller, id, "") : requests.deny(caller, id, "")))
    } catch (failure) {
      if (!(failure instanceof GatewayError)) throw failure
      log.info({ channel: channel.name, request: id, by: caller.person.name, code: failure.code }, "an answer from Slack was refused")
      return whisper(`Not done: ${failure.message}.`)
    }
  }

  async #callerOf(channel: SignedChannel, user: string, from: string): Promise<Caller | undefined> {
    const { current, people } = this.#options
    const { policy } = current()
    const subject = channel.people.get(user)
    const known = subject === undefined ? undefined : await people.find(subject)
    // Nothing in an answer says how or when the person logged in to Slack.
    return known && { person: personOf(known, policy), proof: null, login: null, until: this.#options.clock.now(), from }
  }

  /** Only where messages are posted anyway: an address in an answer is no reason to call it. */
  #update(channel: SignedChannel, response_url: string | undefined, words: Json): void {
    const url = response_url !== undefined && URL.canParse(response_url) ? new URL(response_url) : undefined
    if (url?.origin !== new URL(channel.webhook.reveal()).origin || this.#updates.size >= limits.slack_updates_max) return
    const posting = { url, headers: { "content-type": "application/json" }, body: JSON.stringify(words) }
    const update = this.#poster.post(posting, this.#stop.signal).then((sent) => {
      if (!sent.done) this.#options.log.warn({ channel: channel.name, why: sent.why }, "a message in Slack could not be updated")
    })
    this.#updates.add(update)
    void update.finally(() => this.#updates.delete(update))
  }
}

const isSigned = (channel: Config["notify"][number]): channel is SignedChannel =>
  channel.way === "slack" && channel.signing_secret !== undefined

function parse(body: Buffer): z.output<typeof pressed> {
  const payload = new URLSearchParams(body.toString("utf8")).get("payload")
  try {
    return pressed.parse(JSON.parse(payload ?? ""))
  } catch (failure) {
    throw new GatewayError("invalid", { what: "expected the payload of a pressed button" }, failure)
  }
}

/** For the one who pressed alone; the message with its buttons stays. */
const whisper = (words: string): Json => ({
  replace_original: false,
  response_type: "ephemeral",
  text: "Sluice",
  mrkdwn: false,
  blocks: [{ type: "section", text: plain(words, 2_000) }],
})

function outcome({ id, subject, target, status, decisions, approvals_needed }: RequestView): Json {
  const approved = new Set(decisions.filter(({ verdict }) => verdict === "approve").map(({ by }) => by))
  if (status === "pending") return whisper(`Your approval counts. Request ${id} needs ${approvals_needed - approved.size} more.`)
  const by = visible(decisions.map((decision) => decision.by).join(", "))
  return {
    replace_original: true,
    text: `Request ${id}: ${status}`,
    mrkdwn: false,
    blocks: [
      { type: "header", text: plain(`${visible(target)} for ${visible(subject)}: ${status}`, 150) },
      { type: "section", text: plain(`Request ${id}, decided by ${by}`, 2_000) },
    ],
  }
}
