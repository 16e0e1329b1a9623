// Mail goes to those whom it concerns, where they are known to read it.
import assert from "node:assert/strict"
import test from "node:test"
import type { PersonView } from "../../../../src/api/schema.ts"
import type { Notice } from "../../../../src/approvals/notifications/notice.ts"
import { hears, recipientsOf } from "../../../../src/approvals/notifications/recipients.ts"
import type { EmailChannel } from "../../../../src/config/config.ts"
import { limits } from "../../../../src/core/limits.ts"

const person = (name: string, groups: string[], change: Partial<PersonView> = {}): PersonView => ({
  name,
  groups,
  known_from: "config",
  email: null,
  seen_at: null,
  disabled: null,
  ...change,
})
const people = [
  person("alice@example.com", ["engineers"]),
  person("bob@example.com", ["oncall"]),
  person("carol", ["oncall"]),
  person("dave", ["oncall"], { known_from: "company", email: "dave@corp.example" }),
  person("erin@corp.example", ["oncall"], { known_from: "company" }),
  person("frank@example.com", ["oncall"], { disabled: { by: "dana", at: 1, reason: "" } }),
  person("grace@example.com", ["engineers"]),
  person("heidi@example.com", ["oncall"]),
]
const channel = (change: Partial<EmailChannel> = {}): EmailChannel => ({
  name: "mail",
  on: ["request.*"],
  way: "email",
  smtp: { host: "127.0.0.1", port: 25, tls: "starttls", login: undefined },
  ca: undefined,
  from: "sluice@example.com",
  to: ["approvers", "requester"],
  addresses: new Map([["heidi@example.com", "heidi.pager@example.net"]]),
  ...change,
})
const notice = (kind: string, by: string, subject = "alice@example.com"): Notice =>
  ({
    event: { kind, by },
    request: { subject, approve_by: ["oncall", "alice@example.com"] },
    grant: undefined,
    session: undefined,
  }) as never

test("recipients: those who may decide, each at a known address; not the one who asked, nobody disabled, no address that nobody verified", () => {
  assert.deepEqual(recipientsOf(channel(), notice("request.asked", "alice@example.com"), people), [
    "bob@example.com",
    "dave@corp.example",
    "heidi.pager@example.net",
  ])
})

test("recipients: what was decided goes to the one who asked, unless they did it themselves", () => {
  assert.deepEqual(recipientsOf(channel(), notice("request.denied", "bob@example.com"), people), ["alice@example.com"])
  assert.deepEqual(recipientsOf(channel(), notice("request.withdrawn", "alice@example.com"), people), [])
})

test("recipients: each once, and a bounded number", () => {
  const crowd = Array.from({ length: limits.notification_recipients_max + 20 }, (_, at) => person(`p${at}@example.com`, ["oncall"]))
  const told = recipientsOf(channel({ to: ["audit@example.com", "approvers"] }), notice("request.asked", "alice@example.com"), crowd)
  assert.equal(told.length, limits.notification_recipients_max)
  assert.equal(told[0], "audit@example.com")
  const twice = channel({ to: ["bob@example.com", "approvers"] })
  assert.equal(recipientsOf(twice, notice("request.asked", "x"), people).filter((one) => one === "bob@example.com").length, 1)
})

test("recipients: a channel hears the kinds and families it names, and never of a notification that failed", () => {
  const to = channel({ on: ["request.*", "grant.revoked", "notification.*", "notification.failed"] })
  const kinds = ["request.asked", "request.some_new_kind", "grant.revoked", "grant.made", "requests.asked", "notification.failed"]
  assert.deepEqual(
    kinds.filter((kind) => hears(to, kind)),
    ["request.asked", "request.some_new_kind", "grant.revoked"],
  )
})
