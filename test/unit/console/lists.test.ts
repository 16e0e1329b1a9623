// Pages that list: what is offered about a thing, and the way to what is older.
import assert from "node:assert/strict"
import { test } from "node:test"
import type { ListedGrant, ListedSession } from "../../../src/api/listed.ts"
import { grantsPage } from "../../../src/console/grants_page.ts"
import { overviewPage, requestsPage } from "../../../src/console/requests_page.ts"
import { sessionsPage } from "../../../src/console/sessions_page.ts"

const visit = { subject: "gina@example.com", csrf: "x", now: 1_000, oversees: false }
const session = (may_end: boolean): ListedSession => ({
  id: "s_0123456789abcdef" as ListedSession["id"],
  gateway: "gw",
  protocol: "ssh",
  subject: "alice@example.com",
  target: "prod-host",
  as: null,
  grant: "g_0123456789abcdef" as ListedSession["grant"],
  client: "203.0.113.7:1",
  started_at: 500,
  ended_at: null,
  ended_why: null,
  may_end,
})
const grant = (may_end: boolean): ListedGrant => ({
  id: "g_0123456789abcdef" as ListedGrant["id"],
  request: 1 as ListedGrant["request"],
  subject: "alice@example.com",
  target: "prod-host",
  as: null,
  starts_at: 500,
  ends_at: 5_000,
  status: "active",
  revision: 1,
  first_use_ms: null,
  actions: null,
  uses_max: null,
  uses_left: null,
  ended_by: null,
  ended_reason: null,
  ended_at: null,
  may_end,
})

test("lists: the form that ends what is another's is there for those who may, and for nobody else", () => {
  const forms = (page: string): number => page.split("<form").length - 1
  const grants = (may_end: boolean): string => grantsPage({ visit, grants: [grant(may_end)], older: undefined })
  const sessions = (may_end: boolean): string => sessionsPage({ visit, sessions: [session(may_end)], older: undefined })
  for (const page of [grants, sessions]) {
    assert.match(page(false), /alice@example\.com/)
    assert.equal(forms(page(true)), forms(page(false)) + 1)
  }
})

test("lists: what is older has a link, and where there is nothing older there is none", () => {
  for (const page of [
    (older?: string) => grantsPage({ visit, grants: [], older }),
    (older?: string) => sessionsPage({ visit, sessions: [], older }),
    (older?: string) => requestsPage({ visit, requests: [], older }),
  ]) {
    assert.match(page("/x?before=7&a=1"), /<a href="\/x\?before=7&amp;a=1">Older /)
    assert.doesNotMatch(page(), /Older /)
  }
})

test("lists: an overview that did not look at all that waits says so, and leads there", () => {
  const page = (more: boolean): string => overviewPage({ visit, pending: [], more, grants: [] })
  assert.match(page(true), /Many requests wait[^]*<a href="\/requests">/)
  assert.match(page(false), /Nothing waits for you/)
})
