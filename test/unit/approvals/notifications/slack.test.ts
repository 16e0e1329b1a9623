// Slack: what people wrote can forge nothing in a message, and a button counts only when Slack, we, and the config say so.
import assert from "node:assert/strict"
import { createHmac } from "node:crypto"
import test, { type TestContext } from "node:test"
import type { RequestView } from "../../../../src/api/schema.ts"
import { plain, slackPosting } from "../../../../src/approvals/notifications/slack_message.ts"
import type { HoldRecord, RequestRecord } from "../../../../src/approvals/store.ts"
import type { SlackChannel } from "../../../../src/config/config.ts"
import { limits } from "../../../../src/core/limits.ts"
import { Secret } from "../../../../src/core/secret.ts"
import { startReceiver, type Receiver } from "../../../support/receiver.ts"
import { eventually } from "../../../support/wait.ts"
import { hour, type Service, startService } from "../service.ts"

const signing_secret = "8f742231b10e8888abcd99yyyzzz85a5"
const people = new Map([
  ["U0ALICE", "alice@example.com"],
  ["U0BOB", "bob@example.com"],
  ["U0ERIN", "erin@example.com"],
  ["U0FRANK", "frank@example.com"],
  ["U0GONE", "gone@example.com"],
])
const channel = (url: string, change: Partial<SlackChannel> = {}): SlackChannel => ({
  name: "team",
  on: ["request.asked", "request.approved"],
  way: "slack",
  webhook: new Secret(`${url}/hook`),
  signing_secret: new Secret(signing_secret),
  people,
  ...change,
})

interface Element {
  readonly type: string
  readonly action_id?: string
  readonly value?: string
  readonly url?: string
}
interface Message {
  readonly text: string
  readonly replace_original?: boolean
  readonly blocks: readonly { readonly type: string; readonly text?: unknown; readonly elements?: readonly Element[] }[]
}

interface Slack {
  readonly service: Service
  readonly hook: Receiver
  /** The value of a button of the message that came last. */
  button(action_id: string): string
  press(given: {
    user: string
    action?: string
    value?: string
    at?: number
    secret?: string
    signature?: string
    to?: string
    url?: string
  }): Promise<Response>
  updates(): Message[]
}

async function slack(t: TestContext, change: Partial<SlackChannel> = {}): Promise<Slack> {
  const hook = await startReceiver()
  t.after(() => hook.stop())
  const service = await startService(t, { notify: [channel(hook.url, change)] })
  const messages = (path: string): Message[] =>
    hook.received.filter((one) => one.path === path).map(({ body }) => JSON.parse(body) as Message)
  const button = (action_id: string): string => {
    const elements = messages("/hook").flatMap(({ blocks }) => blocks.flatMap(({ elements = [] }) => elements))
    return elements.findLast((element) => element.action_id === action_id)?.value ?? assert.fail(`no button ${action_id}`)
  }
  return {
    service,
    hook,
    button,
    updates: () => messages("/response"),
    press({ user, action = "approve", value = button(action), at = service.clock.now(), secret = signing_secret, ...given }) {
      const payload = {
        type: "block_actions",
        user: { id: user, name: "bob" },
        response_url: given.url ?? `${hook.url}/response`,
        actions: [{ type: "button", action_id: action, value }],
      }
      const body = new URLSearchParams({ payload: JSON.stringify(payload) }).toString()
      const timestamp = String(Math.floor(at / 1_000))
      const signature = given.signature ?? `v0=${createHmac("sha256", secret).update(`v0:${timestamp}:${body}`).digest("hex")}`
      return fetch(`${service.url}/v1/notifications/slack/${given.to ?? "team"}`, {
        method: "POST",
        headers: {
          "content-type": "application/x-www-form-urlencoded",
          "x-slack-signature": signature,
          "x-slack-request-timestamp": timestamp,
        },
        body,
      })
    },
  }
}

async function asked(t: TestContext, change: Partial<SlackChannel> = {}): Promise<Slack> {
  const made = await slack(t, change)
  await made.service.ask()
  await eventually("the message", () => made.hook.received.length === 1)
  return made
}
const request = async ({ service }: Slack): Promise<RequestView> => (await service.call("alice", "GET /v1/requests/1")).body as never

test("slack: a button pressed by somebody who may decides, once, and the message says so", async (t) => {
  const made = await asked(t)
  assert.equal((await made.press({ user: "U0BOB" })).status, 200)
  const { status, decisions } = await request(made)
  assert.equal(status, "approved")
  assert.deepEqual(
    decisions.map(({ by }) => by),
    ["bob@example.com"],
  )
  const update = await eventually("the message to be updated", () => made.updates()[0])
  assert.equal(update.replace_original, true)
  assert.match(JSON.stringify(update.blocks), /prod-host for alice@example.com: approved.*decided by bob@example.com/)
  assert(!JSON.stringify(update.blocks).includes("actions"), "the buttons are gone")
})

test("slack: denying works as approving does", async (t) => {
  const made = await asked(t)
  assert.equal((await made.press({ user: "U0ERIN", action: "deny" })).status, 200)
  assert.equal((await request(made)).status, "denied")
})

test("slack: when two must approve, the first leaves the buttons for the second, and one person counts once", async (t) => {
  const made = await slack(t)
  await made.service.ask({ target: "two-keys" })
  await eventually("the message", () => made.hook.received.length === 1)
  await made.press({ user: "U0BOB" })
  await made.press({ user: "U0BOB", at: made.service.clock.now() + 1_000 })
  await eventually("both answers", () => made.updates().length === 2)
  assert.deepEqual(
    made.updates().map(({ replace_original }) => replace_original),
    [false, false],
  )
  assert.equal((await request(made)).status, "pending")
  await made.press({ user: "U0ERIN" })
  assert.equal((await request(made)).status, "approved")
})

test("slack: the one who asked, somebody without the right and somebody unknown decide nothing, and are told so", async (t) => {
  const made = await asked(t)
  for (const user of ["U0ALICE", "U0FRANK", "U0GONE", "U0NOBODY"]) assert.equal((await made.press({ user })).status, 200)
  assert.equal((await request(made)).status, "pending")
  await eventually("four answers", () => made.updates().length === 4)
  const words = JSON.stringify(made.updates().map(({ blocks }) => blocks))
  assert.match(words, /nobody approves their own request/)
  assert.match(words, /no such thing, or not yours to see/)
  assert.match(words, /does not know whose Slack account/)
  assert(made.updates().every(({ replace_original }) => replace_original === false))
})

test("slack: what Slack did not sign, or signed for something else, or long ago, is refused", async (t) => {
  const made = await asked(t)
  const now = made.service.clock.now()
  const refused = [
    await made.press({ user: "U0BOB", secret: "another-secret" }),
    await made.press({ user: "U0BOB", signature: `v0=${"0".repeat(64)}` }),
    await made.press({ user: "U0BOB", signature: "v0=" }),
    await made.press({ user: "U0BOB", signature: `v1=${"0".repeat(64)}` }),
    await made.press({ user: "U0BOB", at: now - limits.slack_answer_ms_max - 2_000 }),
    await made.press({ user: "U0BOB", at: now + limits.slack_answer_ms_max + 2_000 }),
  ]
  assert.deepEqual(
    refused.map(({ status }) => status),
    [401, 401, 401, 401, 401, 401],
  )
  assert.equal((await made.press({ user: "U0BOB", to: "other" })).status, 404)
  assert.equal((await request(made)).status, "pending")
})

test("slack: an answer that comes again is refused, after a restart too", async (t) => {
  const made = await slack(t)
  await made.service.ask({ target: "two-keys" })
  await eventually("the message", () => made.hook.received.length === 1)
  const at = made.service.clock.now()
  assert.equal((await made.press({ user: "U0BOB", at })).status, 200)
  assert.equal((await made.press({ user: "U0BOB", at })).status, 409)
  await made.service.restart()
  assert.equal((await made.press({ user: "U0BOB", at })).status, 409)
  made.service.clock.advance(limits.slack_answer_ms_max + 2_000)
  assert.equal((await made.press({ user: "U0BOB", at })).status, 401)
})

test("slack: a button that is not ours does nothing, whoever presses it", async (t) => {
  const made = await asked(t)
  await made.service.ask({ target: "two-keys" })
  await eventually("the other message", () => made.hook.received.length === 2)
  const [, proof] = made.button("approve").split(".")
  for (const value of ["1", "1.", `1.${proof}`, `1.${"0".repeat(64)}`, "", "x".repeat(1_900)])
    assert.equal((await made.press({ user: "U0BOB", value })).status, 200, value)
  assert.equal((await request(made)).status, "pending")
})

test("slack: the message is only changed where messages are posted", async (t) => {
  const elsewhere = await startReceiver()
  t.after(() => elsewhere.stop())
  const made = await asked(t)
  for (const url of [`${elsewhere.url}/response`, "http://169.254.169.254/latest", "not a url", "file:///etc/passwd"])
    assert.equal((await made.press({ user: "U0FRANK", url })).status, 200)
  await made.press({ user: "U0BOB" })
  await eventually("the one at home", () => made.updates().length === 1)
  assert.equal(elsewhere.received.length, 0)
})

test("slack: a body that is too large, of another kind or not to be read is refused", async (t) => {
  const made = await asked(t)
  const post = async (body: string, type = "application/x-www-form-urlencoded"): Promise<number> => {
    const timestamp = String(Math.floor(made.service.clock.now() / 1_000))
    const signature = `v0=${createHmac("sha256", signing_secret).update(`v0:${timestamp}:${body}`).digest("hex")}`
    const headers = { "content-type": type, "x-slack-signature": signature, "x-slack-request-timestamp": timestamp }
    return (await fetch(`${made.service.url}/v1/notifications/slack/team`, { method: "POST", headers, body })).status
  }
  assert.equal(await post(`payload=${"x".repeat(limits.slack_answer_bytes_max)}`), 413)
  assert.equal(await post("{}", "application/json"), 400)
  for (const body of ["", "payload=", "payload={", "payload=null", "payload=%7B%22type%22%3A1%7D", "other=1"])
    assert.equal(await post(body), 400, body)
  assert.equal((await request(made)).status, "pending")
})

test("slack: without a signing secret there are no buttons, and no door for answers", async (t) => {
  const made = await asked(t, { signing_secret: undefined })
  const elements = made.hook.received.flatMap(({ body }) => (JSON.parse(body) as Message).blocks.flatMap(({ elements = [] }) => elements))
  assert.deepEqual(
    elements.filter(({ type }) => type === "button").map(({ action_id }) => action_id),
    ["open"],
  )
  assert.equal((await made.press({ user: "U0BOB", value: "1" })).status, 404)
})

const hostile = '<!channel> <https://evil.example|Approve> *bold* `code` ``` :skull: &lt;!here&gt; "\u202eright to left\n\nReason: fine'
const record: RequestRecord = {
  id: 7 as never,
  subject: "alice@example.com",
  groups: ["engineers"],
  target: "prod-host",
  as: ["root"],
  duration_ms: hour,
  starts_at: null,
  reason: hostile,
  created_at: 0,
  lapses_at: 9e15,
  state: "pending",
  rule: "policy.access[0]",
  approve_by: ["oncall"],
  approvals_needed: 1,
  plan: { order: "any", steps: [{ by: ["oncall"], count: 1 }] },
  escalation: null,
  escalated: false,
  review: null,
  reviewed: null,
  decisions: [],
  grant: null,
  actions: null,
  uses: null,
  first_use_within_ms: null,
  extends_grant: null,
  extends_to: null,
  hold: null,
  redeemed_at: null,
}

function posted(change: Partial<RequestRecord>): string {
  const event = {
    sequence: 1,
    at: 1,
    kind: "request.asked",
    actor: "person",
    by: record.subject,
    from: null,
    reason: "",
    rule: null,
  } as const
  const notice = {
    event: { ...event, request: record.id, grant: null, session: null, detail: {} },
    request: { ...record, ...change },
    grant: undefined,
    session: undefined,
  }
  return slackPosting(channel("http://127.0.0.1:1"), { id: "n_1", notice, public_url: "https://access.example.com", now: 1 }).body
}

test("slack: the message says for which actions alone, how often and until when; what it cannot show whole has no buttons", () => {
  const action = "ssh.exec systemctl restart <app> *"
  const body = posted({ actions: [action], uses: 3, first_use_within_ms: hour })
  assert(body.includes("Only: ssh.exec systemctl restart &lt;app&gt; *"))
  assert(body.includes("Uses: 3"))
  assert(body.includes("For: 1h from its first use, within 1h"))
  assert(body.includes('"action_id":"approve"'))
  assert(
    posted({ extends_grant: "g_0000000000000000" as never, extends_to: Date.UTC(2026, 0, 15) }).includes(
      "1h more, until 2026-01-15 00:00:00 UTC",
    ),
  )
  const long = posted({ actions: [action, "x".repeat(2_000)] })
  assert(!long.includes('"action_id":"approve"') && long.includes('"action_id":"open"'))
})

const held: HoldRecord = {
  session: "s_0000000000000000" as never,
  grant: "g_0000000000000000" as never,
  protocol: "postgres",
  digest: "sha256:",
  text: "DELETE FROM orders WHERE id = $1",
  values: ["17"],
  action_kind: "delete",
  tables: ["orders"],
  calls: ["audit.note"],
  notes: ["a secret in it is not shown"],
  recent: [],
  bound: true,
}

test("slack: a held action is there with all that decides; what is left out of it, however little, leaves no buttons", () => {
  const decidable = '"action_id":"approve"'
  const whole = posted({ hold: { ...held, values: ["17", null, "NULL", ...Array.from({ length: 7 }, (_, at) => `v${at}`)] } })
  for (const words of [
    "Action: DELETE FROM orders WHERE id = $1",
    "$1: '17'",
    "$2: NULL",
    "$3: 'NULL'",
    "$10: 'v6'",
    "Does: delete on orders",
    "Calls: audit.note",
    "Note: a secret in it is not shown",
    decidable,
  ])
    assert(whole.includes(words), words)
  for (const { fields = [] } of (JSON.parse(whole) as { blocks: { fields?: unknown[] }[] }).blocks) assert(fields.length <= 10)
  const cuts: Partial<HoldRecord>[] = [
    { text: `SELECT 1${" ".repeat(600)}; DROP TABLE orders` },
    { values: ["x".repeat(201)] },
    { values: Array.from({ length: 11 }, () => "x") },
  ]
  for (const change of cuts) {
    const body = posted({ hold: { ...held, ...change } })
    assert(!body.includes(decidable) && body.includes('"action_id":"open"') && body.includes("on the page)"), JSON.stringify(change))
  }
})

test("slack: whatever a reason holds, an old one too, it stays plain words in its own place", () => {
  const body = posted({})
  const objects: Record<string, unknown>[] = []
  JSON.parse(body, (_key, value: unknown) => {
    if (typeof value === "object" && value !== null && "type" in value) objects.push({ ...value })
    return value
  })
  assert.deepEqual(
    objects.filter(({ type }) => type === "mrkdwn"),
    [],
  )
  const texts = objects.flatMap(({ text, type }) => (type === "plain_text" ? [String(text)] : []))
  const words = texts.filter((text) => text.includes("channel"))
  assert.equal(words.length, 1, "it stands in one place")
  assert.equal(
    words[0],
    'Reason: &lt;!channel&gt; &lt;https://evil.example|Approve&gt; *bold* `code` ``` :skull: &amp;lt;!here&amp;gt; "\\u{202e}right to left\\n\\nReason: fine',
  )
  assert(objects.filter(({ type, text }) => type === "plain_text" && String(text).includes("skull")).every(({ emoji }) => emoji === false))
  const { text, mrkdwn } = JSON.parse(body) as { text: string; mrkdwn: boolean }
  assert.deepEqual([text, mrkdwn], ["Request 7: request.asked", false])
})

test("slack: a long text is cut to Slack's bound, and never within an escape", () => {
  for (const text of ["<".repeat(2_000), "a".repeat(3_000), `${"a".repeat(146)}<<<<`, "😀".repeat(200), ""]) {
    const { text: cut } = plain(text, 150) as { text: string }
    assert(cut.length <= 150)
    assert.match(cut, /^([^&<>]|&lt;|&gt;|&amp;)*$/)
    assert(cut.isWellFormed())
  }
})
