// What rules want beyond one approval, on the pages: whom a request waits for, and a break-glass with its review.
import assert from "node:assert/strict"
import { after, before, suite, test } from "node:test"
import type { Browser, Page } from "playwright-core"
import { accessibilityFaults, overflow, phone, smallTargets, startBrowser } from "../support/chromium.ts"
import { startPages, visitsIn } from "../support/pages.ts"
import { needs } from "../support/tools.ts"
import { testConfig } from "../unit/approvals/service.ts"

suite("rules on the pages, in Chromium", { skip: needs("chromium"), concurrency: 1 }, () => {
  let browser: Browser
  const visit = visitsIn(() => browser)
  before(async () => void (browser = await startBrowser()))
  after(() => browser.close())

  test("a request in steps says whom it waits for; a break-glass is asked for by name and reviewed on its page", async (t) => {
    const plan = {
      order: "sequence",
      steps: [
        { by: ["oncall"], count: 1 },
        { by: ["admins"], count: 1 },
      ],
    } as const
    const { policy } = testConfig("/")
    const usual = policy.access.find((rule) => rule.reason_required)
    assert(usual)
    const access = [
      { ...usual, approve: { plan, escalate: { after_ms: 3_600_000, to: ["managers"] } } },
      { ...usual, approve: { review: ["oncall"], within_ms: 3_600_000 } },
    ]
    const service = await startPages(t)
    await service.restart({ policy: { ...policy, access } })
    const alice = await visit(t, service, "alice", { ...phone, javaScriptEnabled: false })
    const bob = await visit(t, service, "bob", { ...phone, javaScriptEnabled: false })
    const text = (page: Page): Promise<string> => page.locator("main").innerText()

    await service.ask()
    await alice.page.goto(`${service.url}/requests/1`)
    assert.match(
      await text(alice.page),
      /Still needed, one after the other:[^]*One person of oncall[^]*One person of admins[^]*managers may decide as well/,
    )
    await bob.page.goto(`${service.url}/requests/1`)
    await bob.page.getByRole("button", { name: "Approve" }).click()
    assert.match(await text(bob.page), /Still needed:\s+One person of admins/)

    await alice.page.goto(`${service.url}/ask?target=prod-host`)
    await alice.page.getByLabel("Reason").fill("INC-11: nobody answers")
    await alice.page.getByLabel(/Break the glass/).check()
    await alice.page.getByRole("button", { name: "Ask for access" }).click()
    await alice.page.waitForURL(/\/requests\/2$/)
    assert.match(await text(alice.page), /Break-glass, to be reviewed[^]*To be reviewed[^]*One of oncall looks at what was done/)
    assert.equal(await alice.page.getByLabel("What you found").count(), 0)

    await bob.page.goto(service.url)
    assert.match(await text(bob.page), /One request waits for you[^]*INC-11/)
    await bob.page.getByRole("link", { name: /prod-host/ }).click()
    await bob.page.getByLabel("What you found").fill("only looked at the logs")
    await bob.page.getByRole("button", { name: "Reviewed" }).click()
    assert.match(await text(bob.page), /Break-glass, reviewed[^]*bob@example\.com, .*: only looked at the logs/)
    const erin = await visit(t, service, "erin", phone)
    for (const path of ["/", "/requests/1", "/requests/2", "/ask?target=prod-host"]) {
      await erin.page.goto(service.url + path)
      assert.deepEqual(await accessibilityFaults(erin.page), [], path)
      assert.equal(await overflow(erin.page), 0, `${path} fits`)
      assert.deepEqual(await smallTargets(erin.page), [], path)
    }
    assert.deepEqual([...bob.faults.found, ...alice.faults.found], [])
  })
})
