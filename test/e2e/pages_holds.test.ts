// A held SQL statement on its page, as who decides about it sees it: all of it, and how much it would do, asked of the planner.
import assert from "node:assert/strict"
import { after, before, suite, test, type TestContext } from "node:test"
import type { Browser, Page } from "playwright-core"
import type { Estimate, HeldAction } from "../../src/api/hold_schema.ts"
import { newSessionId } from "../../src/core/ids.ts"
import { limits } from "../../src/core/limits.ts"
import { accessibilityFaults, overflow, phone, smallTargets, startBrowser } from "../support/chromium.ts"
import { startPages, visitsIn } from "../support/pages.ts"
import { needs } from "../support/tools.ts"
import { eventually } from "../support/wait.ts"
import { holdRule, type Service } from "../unit/approvals/service.ts"

const digest = `sha256:${"a".repeat(64)}`

/** A page's service, and its gateway, which this test is: it holds what it is told to, and answers for the planner. */
async function holding(t: TestContext) {
  const service = await startPages(t)
  await service.restart({ policy: { ...service.config.policy, actions: [holdRule] } })
  const { body: asked } = await service.ask({ as: ["root"] })
  const { body: approved } = await service.call("bob", `POST /v1/requests/${asked.id}/approve`, {})
  assert(approved.grant)
  const session = newSessionId()
  const of = { gateway: "gw", protocol: "postgres", subject: "alice@example.com", target: "prod-host", as: "root", client: "x:1" }
  const started = { event: "started", session: { ...of, id: session, grant: approved.grant.id, started_at: service.clock.now() } }
  await service.call("gateway", "POST /v1/gateway/sessions", { gateway: "gw", reports: [started] })
  const usual = { values: [], action_kind: "delete", tables: ["orders"], calls: [], notes: [], recent: [] }
  const hold = async (action: Partial<HeldAction>): Promise<number> => {
    const whole = { ...usual, session, grant: approved.grant!.id, protocol: "postgres", digest, text: "DELETE FROM orders", ...action }
    const rule = { index: 0, digest: holdRule.digest }
    const { body } = await service.call("gateway", "POST /v1/gateway/holds", { gateway: "gw", action: whole, rule, binding: "session" })
    return Number(body.id)
  }
  return { service, session, hold }
}

/** Who has asked for a guess. */
async function askers(service: Service): Promise<string[]> {
  const { events } = (await service.call("gina", "GET /v1/audit?limit=50")).body as unknown as { events: { kind: string; by: string }[] }
  return events.flatMap(({ kind, by }) => (kind === "hold.estimate_asked" ? [by] : []))
}

/** When the page has asked, the gateway answers. */
async function answer(service: Service, { id, session, estimate }: { id: number; session: string; estimate: Estimate }): Promise<void> {
  const body = { gateway: "gw", session, digest, estimate }
  await eventually("the page has asked", async () => {
    const { status } = await service.call("gateway", `POST /v1/gateway/holds/${id}/estimate`, body)
    return status === 200
  })
}

const main = (page: Page): Promise<string> => page.locator("main").innerText()

suite("a held statement on its page, in Chromium", { skip: needs("chromium"), concurrency: 1 }, () => {
  let browser: Browser
  const visit = visitsIn(() => browser)
  before(async () => void (browser = await startBrowser()))
  after(() => browser.close())

  test("who decides has the planner guess, on record, and reads how many rows or why there is no guess; nobody else has the button", async (t) => {
    const { service, session, hold } = await holding(t)
    const id = await hold({})
    const { page, faults } = await visit(t, service, "bob", { javaScriptEnabled: false })
    const guess = page.getByRole("button", { name: "Have the planner guess" })
    const path = `${service.url}/requests/${id}`
    await page.goto(path)
    await Promise.all([guess.click(), answer(service, { id, session, estimate: { rows: 1_204, cost: 35.5, why: null } })])
    await page.waitForURL(`${path}#rows`)
    assert.match(await main(page), /Rows\s+about 1204 by the planner \(cost 35\.5\)/)
    assert.equal(await page.getByRole("button", { name: "✓ Approve" }).count(), 1)

    service.clock.advance(60_000)
    const again = page.getByRole("button", { name: "Guess again" })
    await Promise.all([again.click(), answer(service, { id, session, estimate: { rows: null, cost: null, why: "<b>no</b> \u202ewhy" } })])
    await page.getByText("no estimate:").waitFor()
    assert.match(await main(page), /Rows\s+no estimate: <b>no<\/b> \\u\{202e\}why/)

    assert.deepEqual(await askers(service), ["bob@example.com", "bob@example.com"])
    for (const who of ["alice", "gina"]) {
      const other = await visit(t, service, who, { javaScriptEnabled: false })
      await other.page.goto(path)
      assert.match(await main(other.page), /Rows\s+no estimate/, who)
      assert.equal(await other.page.getByRole("button", { name: /guess/i }).count(), 0, who)
    }
    assert.deepEqual(faults.found, [])
  })

  test("a gateway that does not answer, and a statement that is over, are said; what has no plan has no button", async (t) => {
    const { service, hold } = await holding(t)
    const id = await hold({})
    const { page, faults } = await visit(t, service, "bob", { javaScriptEnabled: false })
    const path = `${service.url}/requests/${id}`
    await page.goto(path)
    const pressed = page.getByRole("button", { name: "Have the planner guess" }).click()
    await eventually("it has asked", async () => (await askers(service)).length > 0)
    service.clock.advance(limits.estimate_wait_ms)
    await pressed
    assert.match(await main(page), /The gateway that holds it has not answered; ask again in a moment/)
    await service.call("bob", `POST /v1/requests/${id}/deny`, {})
    await page.getByRole("button", { name: "Have the planner guess" }).click()
    assert.match(await main(page), /It is already over/)
    await page.goto(
      `${service.url}/requests/${await hold({ text: "DROP TABLE orders", action_kind: "ddl", digest: digest.replace("aa", "bb") })}`,
    )
    assert.match(await main(page), /DROP TABLE orders/)
    assert.equal(await page.getByRole("button", { name: /guess/i }).count(), 0)
    assert.deepEqual(faults.found, [])
  })

  test("with the longest text and values there are it fits a phone, is accessible, and says first what it does", async (t) => {
    const { service, hold } = await holding(t)
    const text = `DELETE FROM orders${" ".repeat(4_000)}WHERE id = $1;${"\n".repeat(300)}DROP TABLE customers; -- ${"x".repeat(20_000)}`
    const values = Array.from({ length: 100 }, (_, at) => (at === 7 ? null : `value ${at}`))
    const id = await hold({ text, values, action_kind: "ddl", tables: ["orders", "customers"], notes: ["it is done to every row"] })
    const { page, faults } = await visit(t, service, "bob", phone)
    await page.goto(`${service.url}/requests/${id}`)
    const shown = await main(page)
    assert(shown.indexOf("ddl on orders, customers") < shown.indexOf("DELETE FROM orders"))
    for (const words of ["DROP TABLE customers", "$8 = NULL", "$100 = 'value 99'"]) assert(shown.includes(words), words)
    assert.deepEqual([await accessibilityFaults(page), await overflow(page), await smallTargets(page)], [[], 0, []])
    assert.deepEqual(faults.found, [])
  })
})
