// What a notification is called.
import assert from "node:assert/strict"
import test from "node:test"
import { titleOf, type Notice } from "../../../../src/approvals/notifications/notice.ts"
import { webhookPosting } from "../../../../src/approvals/notifications/webhook.ts"
import type { WebhookChannel } from "../../../../src/config/config.ts"
import { limits } from "../../../../src/core/limits.ts"
import { Secret } from "../../../../src/core/secret.ts"

test("notifications: news of a gateway names it", () => {
  const titles = ["gateway.joined", "gateway.left", "gateway.lost", "gateway.returned", "gateway.refused"].map((kind) =>
    titleOf({ event: { kind, by: "gw.example.com/1" }, request: undefined, grant: undefined, session: undefined } as unknown as Notice),
  )
  assert.deepEqual(titles, [
    "gateway gw.example.com/1 has begun",
    "gateway gw.example.com/1 was stopped",
    "gateway gw.example.com/1 is not heard any more",
    "gateway gw.example.com/1 is heard again",
    "gateway gw.example.com/1 spoke under a name that is not its own",
  ])
})

test("notifications: a webhook's body stays within its bound, however long the action that waits", () => {
  const hold = { text: "DELETE ".repeat(9_000), values: ["\u0001".repeat(60_000)], action_kind: null, tables: [], calls: [], notes: [] }
  const request = { id: 7, subject: "alice", groups: [], target: "orders", as: null, reason: "", hold }
  const event = { kind: "request.asked", by: "alice", at: 0, reason: "", detail: { text: "x".repeat(60_000) } }
  const notice = { event, request, grant: undefined, session: undefined } as unknown as Notice
  const channel = { url: new URL("https://hook.example.com"), secret: new Secret("x") } as unknown as WebhookChannel
  const { body } = webhookPosting(channel, { id: "n_1", notice, public_url: "https://access.example.com", now: 0 })
  assert.ok(Buffer.byteLength(body) <= limits.notification_body_bytes_max, String(body.length))
  const sent = JSON.parse(body) as { request: { hold: typeof hold }; text: string }
  assert.deepEqual([sent.request.hold.text, sent.request.hold.values], ["DELETE ".repeat(9_000).slice(0, 500), []])
  assert.match(sent.text, /Action: DELETE [^\n]*… \(all of it is on the page\)/)
})
