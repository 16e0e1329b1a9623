// Asking for access from within a browser: an application that somebody may ask for shows them where, and then itself.
import assert from "node:assert/strict"
import { after, before, suite, test } from "node:test"
import type { Browser, BrowserContext, Page } from "playwright-core"
import { createApiClient } from "../../src/api/client.ts"
import { Secret } from "../../src/core/secret.ts"
import { startBrowser, watch } from "../support/chromium.ts"
import { curl } from "../support/clients.ts"
import { type HttpApp, startHttpApp } from "../support/http_app.ts"
import { type People, people, type Person } from "../support/people.ts"
import { onFreePort } from "../support/port.ts"
import { must } from "../support/run.ts"
import { type Sluice, startSluice } from "../support/sluice.ts"
import { gatewayKey, httpTarget } from "../support/sluice_config.ts"
import { needs } from "../support/tools.ts"

suite("browsers: asking from within", { skip: needs("chromium", "curl"), concurrency: 1 }, () => {
  const { alice, bob }: People = people()
  let app: HttpApp
  let sluice: Sluice
  let browser: Browser
  let port: number

  before(async () => {
    ;[app, browser] = await Promise.all([startHttpApp(), startBrowser()])
    const rule = { who: ["engineers"], max: "4h", reason: "required" }
    sluice = await onFreePort(async (free) => {
      port = free
      return startSluice({
        users: [alice, bob],
        targets: ["wiki", "fast", "forbidden"].map((name) => httpTarget(name, app)),
        policy: {
          access: [
            { ...rule, targets: "wiki", approve: { by: ["oncall"] } },
            { ...rule, targets: "fast", approve: "auto" },
          ],
        },
        gateway: { name: "localhost", http: { listen: `127.0.0.1:${free}`, domain: "apps.localhost" } },
        approvals: { public_url: `https://localhost:${free}` },
      })
    })
  })
  after(async () => {
    await browser.close()
    await sluice.stop()
    await app.stop()
  })

  /** Signed in with the link that `ssh gateway login` prints. */
  async function visitor(who: Person): Promise<{ page: Page; context: BrowserContext; faults: readonly string[] }> {
    const context = await browser.newContext({ ignoreHTTPSErrors: true, javaScriptEnabled: false })
    const { found: faults } = watch(context)
    const page = await context.newPage()
    const service = createApiClient({ url: `http://127.0.0.1:${sluice.port("approvals")}`, credential: () => new Secret(gatewayKey) })
    const { url } = await service.call("link", { body: { subject: who.name, via: "a test" } })
    await service.close()
    await page.goto(url)
    await page.locator("main").getByRole("button", { name: "Sign in" }).click()
    await page.waitForURL(`https://localhost:${port}/`)
    return { page, context, faults }
  }
  const at = (target: string, path = "/"): string => `https://${target}.apps.localhost:${port}${path}`

  test("a page becomes the question, the question becomes the page", async () => {
    const { page, context, faults } = await visitor(alice)
    await page.goto(at("wiki", "/echo?a=b&c=%2F"))
    assert.equal(await page.locator("h1").innerText(), "Ask for wiki")
    await page.getByLabel("Reason").fill("INC-7: the page says no")
    await page.getByRole("button", { name: "Ask for access" }).click()
    await page.waitForURL(/\/requests\/\d+\?return=/)
    const { requests } = await sluice.api(bob).call("requests", { query: { status: "pending" } })
    assert.deepEqual(
      requests.map(({ target, reason }) => [target, reason]),
      [["wiki", "INC-7: the page says no"]],
    )
    await sluice.api(bob).call("approve", { id: requests[0]!.id, body: {} })
    await page.waitForURL(at("wiki", "/echo?a=b&c=%2F"), { timeout: 20_000 })
    assert(app.received.some(({ url }) => url === "/echo?a=b&c=%2F"))
    assert.deepEqual(faults, [])
    await context.close()
  })

  test("a rule that gives it by itself leads through the question straight to the page", async () => {
    const { page, context, faults } = await visitor(alice)
    await page.goto(at("fast", "/there"))
    await page.getByLabel("Reason").fill("a look")
    await page.getByRole("button", { name: "Ask for access" }).click()
    await page.waitForURL(at("fast", "/there"), { timeout: 20_000 })
    assert.deepEqual(faults, [])
    await context.close()
  })

  test("a question that was not good is shown again, and still leads back", async () => {
    const { page, context } = await visitor(alice)
    await page.goto(`https://localhost:${port}/ask?target=fast&return=${encodeURIComponent(at("fast", "/x"))}`)
    await page.getByRole("button", { name: "Ask for access" }).click()
    assert.match(await page.locator("main").innerText(), /This was not sent/)
    assert.equal(await page.locator("input[name=return]").getAttribute("value"), at("fast", "/x"))
    await context.close()
  })

  test("nobody is sent anywhere but to the application that was asked for", async () => {
    const { page, context } = await visitor(alice)
    const { requests } = await sluice.api(alice).call("requests", { query: {} })
    const given = requests.find(({ target, status }) => target === "wiki" && status === "approved")
    assert(given)
    for (const elsewhere of [
      "https://evil.example/",
      "//evil.example/",
      `https://wiki.apps.localhost.evil.example/`,
      `https://evil.example\\@wiki.apps.localhost:${port}/`,
      `https://user@wiki.apps.localhost:${port}/`,
      `http://wiki.apps.localhost:${port}/`,
      "javascript:alert(1)",
      at("fast"),
      `https://localhost:${port}/`,
    ]) {
      const back = encodeURIComponent(elsewhere)
      await page.goto(`https://localhost:${port}/ask?target=wiki&return=${back}`)
      assert.equal(await page.locator("input[name=return]").count(), 0, elsewhere)
      const answer = await page.goto(`https://localhost:${port}/requests/${given.id}?return=${back}`)
      assert.equal(answer?.headers()["refresh"], undefined, elsewhere)
      assert.equal(await page.getByRole("link", { name: /^Go on/ }).count(), 0, elsewhere)
    }
    await context.close()
  })

  test("what may not be asked for reads like what is not there, and a script reads the line that asks", async () => {
    const { page, context } = await visitor(alice)
    const answers: string[] = []
    for (const target of ["forbidden", "no-such-thing"]) {
      const answer = await page.goto(at(target))
      answers.push(`${answer?.status()} ${(await page.locator("body").innerText()).replaceAll(target, "X")}`)
    }
    assert.match(answers[0]!, /^403 [^]*you have no access to this target now/)
    assert.equal(answers[1], answers[0])
    await context.close()

    await sluice.api(alice).call("drop", { id: (await sluice.api(alice).call("grants", { query: {} })).grants[0]!.id, body: {} })
    const [program, args] = await curl({ sluice, person: alice, target: "wiki" }, "/", ["-w", "\n%{http_code}", "-H", "Accept: text/html"])
    const here = args.map((word) => word.replaceAll("wiki.gw.test", "wiki.apps.localhost"))
    const { grants } = await sluice.api(alice).call("grants", { query: {} })
    for (const { id } of grants) await sluice.api(alice).call("drop", { id, body: {} })
    assert.match(await must(program, here), /Ask for it: ssh gateway request wiki [^]*\n403$/)
  })
})
