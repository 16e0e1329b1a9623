// The list of gateways: each state in its own words, and a long list in parts.
import assert from "node:assert/strict"
import { test } from "node:test"
import type { GatewayView } from "../../../src/api/schema.ts"
import { gatewaysPage } from "../../../src/console/gateways_page.ts"
import { limits } from "../../../src/core/limits.ts"

const visit = { subject: "gina@example.com", csrf: "x", now: 100_000, oversees: true }
const gateway = (name: string, more: Partial<GatewayView> = {}): GatewayView => ({
  name,
  instance: "i_0123456789abcdef" as GatewayView["instance"],
  version: "1.2.3",
  other_version: false,
  started_at: 500,
  listening: { ssh: "0.0.0.0:2222" },
  service: "host:8443",
  from: "203.0.113.7:1",
  seen_at: 99_000,
  status: "live",
  lost_at: null,
  sessions: 3,
  ...more,
})
const shown = (gateways: readonly GatewayView[], after?: string): string =>
  gatewaysPage({ visit, version: "1.2.3", gateways: [...gateways], after })
const cardsOf = (page: string): readonly string[] => [...page.matchAll(/<h3><bdi>(.*?)<\/bdi><\/h3>/g)].map(([, name = ""]) => name)

test("gateways page: live, silent and lost are told apart in words, with when it was heard and given up", () => {
  const page = shown([gateway("a"), gateway("b", { status: "silent", seen_at: 60_000 }), gateway("c", { status: "lost", lost_at: 90_000 })])
  assert.match(page, /3 processes: 1 live, 1 silent, 1 lost\./)
  for (const words of ["Live", "Silent", "Lost", "(40s ago)", "(10s ago)"]) assert(page.includes(words), words)
  assert.equal(page.split("Given up").length - 1, 1)
})

test("gateways page: a version that is not the service's says so, and hostile words stay words", () => {
  assert.doesNotMatch(shown([gateway("a")]), /not the service/)
  const page = shown([gateway("<script>x</script>", { version: "<b>", other_version: true, service: "<i>", listening: { "<u>": "<s>" } })])
  assert.match(page, /not the service/)
  assert.doesNotMatch(page, /<(script|b|i|u|s)>/)
})

test("gateways page: a long list is shown in parts, each gateway once, and the last part has no link", () => {
  const all = Array.from({ length: limits.page_rows_max * 2 + 1 }, (_, n) => gateway(`gw-${String(n).padStart(4, "0")}/0`))
  const seen: string[] = []
  let after: string | undefined
  for (let parts = 1; ; parts++) {
    const page = shown(all.toReversed(), after)
    seen.push(...cardsOf(page))
    const [, next] = /href="\/gateways\?after=([^"]+)"/.exec(page) ?? []
    if (next === undefined) {
      assert.equal(parts, 3)
      break
    }
    after = decodeURIComponent(next)
  }
  assert.deepEqual(
    seen,
    all.map(({ name }) => name),
  )
})

test("gateways page: none, and none behind a name, have words of their own", () => {
  assert.match(shown([]), /No gateway was heard\./)
  assert.match(shown([gateway("a")], "b"), /No more\./)
})
