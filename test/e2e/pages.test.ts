// The pages in a real Chromium, as people use them: on a phone, with the keyboard alone, with and without scripts; and what other
// sites and hostile words may not do.
import assert from "node:assert/strict"
import { once } from "node:events"
import { createServer } from "node:http"
import type { AddressInfo } from "node:net"
import { DatabaseSync } from "node:sqlite"
import { after, before, suite, test } from "node:test"
import type { Browser, Page } from "playwright-core"
import { newInstanceId } from "../../src/core/ids.ts"
import { limits } from "../../src/core/limits.ts"
import { version } from "../../src/observe/version.ts"
import { accessibilityFaults, focused, overflow, phone, smallTargets, startBrowser } from "../support/chromium.ts"
import { signIn, startPages, type Visitor, visitsIn } from "../support/pages.ts"
import { needs } from "../support/tools.ts"
import type { Service } from "../unit/approvals/service.ts"

/** A gateway says that it is there. */
async function say(service: Service, gateway: string, runs = version): Promise<void> {
  const word = { instance: newInstanceId(), version: runs, started_at: service.clock.now(), listening: { ssh: "0.0.0.0:2222" } }
  assert.equal((await service.call("gateway", "POST /v1/gateway/presence", { gateway, ...word })).status, 200)
}

suite("pages, in Chromium", { skip: needs("chromium"), concurrency: 1 }, () => {
  let browser: Browser
  const visit = visitsIn(() => browser)
  before(async () => void (browser = await startBrowser()))
  after(() => browser.close())

  test("on a phone, without scripts: the request is read, approved with words, and the one who asked sees it", async (t) => {
    const service = await startPages(t)
    await service.ask({ as: ["root"] })
    const bob = await visit(t, service, "bob", { javaScriptEnabled: false })
    assert.equal(await bob.page.locator("h1").innerText(), "One request waits for you")
    await bob.page.getByRole("link", { name: "prod-host as root, 1h" }).click()
    assert.equal(await bob.page.locator("h1").innerText(), "alice@example.com asks for prod-host")
    const facts = await bob.page.locator("dl.big").innerText()
    for (const words of ["alice@example.com (engineers)", "prod-host", "root", "1h", "INC-7: pods crash"])
      assert(facts.includes(words), words)
    for (const name of ["✓ Approve", "✕ Deny"]) {
      const box = await bob.page.getByRole("button", { name }).boundingBox()
      assert(box && box.height >= 44 && box.y + box.height <= phone.viewport.height, `${name} is in reach of a thumb`)
    }
    await bob.page.getByLabel("Words to go with it").fill("go,\nbut carefully")
    await bob.page.getByRole("button", { name: "✓ Approve" }).click()
    assert.match(bob.page.url(), /\/requests\/1$/)
    assert.match(await bob.page.locator("main").innerText(), /✓\s+Approved[^]*bob@example\.com approved[^]*go, but carefully/)
    await bob.page.reload() // loads the page again; sends nothing
    const { body } = await service.call("alice", "GET /v1/requests/1")
    assert.deepEqual([body.status, body.decisions.length], ["approved", 1])

    const alice = await visit(t, service, "alice", { javaScriptEnabled: false })
    await alice.page.getByRole("link", { name: "request 1" }).click()
    assert.match(
      await alice.page.locator("main").innerText(),
      /Your request for prod-host[^]*✓\s+Approved[^]*✓\s+Open[^]*ssh -J gw root@prod-host/,
    )
    assert.deepEqual([...bob.faults.found, ...alice.faults.found], [])
  })

  test("a link from a message leads through signing in to the request", async (t) => {
    const service = await startPages(t)
    await service.ask()
    const context = await browser.newContext(phone)
    t.after(() => context.close())
    const page = await context.newPage()
    await page.goto(`${service.url}/requests/1`)
    assert.match(page.url(), /\/sign-in\?/)
    assert.doesNotMatch(await page.locator("body").innerText(), /prod-host|alice|INC-7/)
    await signIn(page, service, "bob", "/requests/1")
    assert.equal(await page.locator("h1").innerText(), "alice@example.com asks for prod-host")
    for (const value of ["//evil.example", "https%3A%2F%2Fevil.example", "%", "%2F%5Cevil.example"]) {
      await context.clearCookies()
      await context.addCookies([{ name: "sluice-wanted", value, url: service.url }])
      await signIn(page, service, "bob")
    }
  })

  test("with the keyboard alone: asking, and denying", async (t) => {
    const service = await startPages(t)
    const { page } = await visit(t, service, "alice")
    const press = async (...keys: string[]): Promise<void> => {
      for (const key of keys) await page.keyboard.press(key)
    }
    const tabTo = async (what: RegExp): Promise<void> => {
      for (let presses = 0; presses < 40; presses++) {
        await press("Tab")
        if (what.test(await focused(page))) return
      }
      assert.fail(`the keyboard does not reach ${what}`)
    }
    await page.goto(`${service.url}/ask`)
    await press("Tab")
    assert.equal(await focused(page), "A Skip to the content")
    await tabTo(/^A prod-host/)
    await press("Enter")
    await page.waitForURL(/target=prod-host/)
    await tabTo(/^INPUT for/)
    await press("ArrowLeft")
    await tabTo(/^INPUT as/)
    await press("Space")
    await tabTo(/^TEXTAREA reason/)
    await page.keyboard.type("INC-8: by keyboard")
    const outline = await page.evaluate<string>("getComputedStyle(document.activeElement).outlineStyle")
    assert.equal(outline, "solid", "where the keyboard is can be seen")
    await tabTo(/^BUTTON .*Ask for access/)
    await press("Enter")
    await page.waitForURL(/\/requests\/1$/)
    const { body } = await service.call("alice", "GET /v1/requests/1")
    assert.deepEqual(
      [body.reason, body.as, (body as { duration_ms?: number }).duration_ms],
      ["INC-8: by keyboard", ["deploy"], 30 * 60_000],
    )
  })

  test("a question that cannot be sent says what is wrong, leads to the fields, and keeps what was written", async (t) => {
    const service = await startPages(t)
    const { page } = await visit(t, service, "alice", { javaScriptEnabled: false })
    await page.goto(`${service.url}/ask?target=prod-host`)
    await page.getByLabel("Other", { exact: true }).check()
    await page.getByLabel(/Other duration/).fill("soon")
    await page.getByText("Ask for certain actions alone").click()
    await page.getByLabel("How often").fill("many")
    await page.getByLabel("Reason").fill("INC-9")
    await page.getByRole("button", { name: "Ask for access" }).click()
    const alert = page.getByRole("alert")
    assert.match(await alert.innerText(), /This was not sent[^]*How long: a duration looks like 45m[^]*How often: a whole number/)
    assert.equal(await page.getByLabel("Reason").inputValue(), "INC-9")
    assert.equal(await page.getByLabel(/Other duration/).inputValue(), "soon")
    await alert.getByRole("link", { name: /How often/ }).click()
    assert.equal(await page.locator("#uses:target").count(), 1)
    assert.equal(await page.locator("#uses").getAttribute("aria-describedby"), "uses-wrong uses-hint")
    await page.getByLabel("How often").fill("")
    await page.getByLabel(/Other duration/).fill("9h")
    await page.getByRole("button", { name: "Ask for access" }).click()
    assert.match(await alert.innerText(), /at most 4h/)
    await page.getByLabel(/Other duration/).fill("45m")
    await page.getByLabel("Reason").fill("")
    await page.getByRole("button", { name: "Ask for access" }).click()
    assert.match(await alert.innerText(), /asks for a reason/)
    assert.equal((await service.call("alice", "GET /v1/requests")).body.requests.length, 0)
  })

  test("one who waits sees the decision without doing anything, and may stop the page from loading itself", async (t) => {
    const service = await startPages(t)
    await service.ask()
    const { page } = await visit(t, service, "alice", { javaScriptEnabled: false })
    const [response] = await Promise.all([page.waitForResponse(/\/requests\/1$/), page.goto(`${service.url}/requests/1`)])
    assert.equal(response.headers()["refresh"], "5")
    await page.getByRole("link", { name: "Stop that" }).click()
    assert.equal((await (await page.goto(page.url()))?.allHeaders())?.["refresh"], undefined)
    await page.goto(`${service.url}/requests/1`)
    await service.call("bob", "POST /v1/requests/1/deny", { reason: "not today" })
    await page.getByText("✕ Denied").waitFor()
    assert.match(await page.locator("main").innerText(), /bob@example\.com denied[^]*not today/)
  })

  test("hostile words of an old store are shown as words", async (t) => {
    const service = await startPages(t)
    await service.ask()
    const hostile = `"><script>alert(1)</script><img src=x onerror=alert(2)> \u202edesrever\u0007 ' onfocus='alert(3)' autofocus x='`
    const { store } = service.config.approvals
    assert(store.kind === "sqlite")
    const db = new DatabaseSync(store.path)
    db.prepare("update requests set reason = ?, subject = ? where id = 1").run(hostile, `mallory"><b>x</b>`)
    db.close()
    const { page, faults } = await visit(t, service, "bob")
    for (const path of ["/", "/requests", "/requests/1"]) {
      await page.goto(service.url + path)
      const text = await page.locator("main").innerText()
      assert(
        text.includes(`"><script>alert(1)</script><img src=x onerror=alert(2)> \\u{202e}desrever\\x07 ' onfocus='alert(3)' autofocus x='`),
        path,
      )
      assert.equal(await page.locator("main script, main img, main b, main [onfocus]").count(), 0)
    }
    assert.deepEqual(faults.found, [])
  })

  test("a form of another site, and one without this session's token, change nothing", async (t) => {
    const service = await startPages(t)
    await service.ask()
    const { page, context } = await visit(t, service, "bob")
    const evil = createServer((_request, response) =>
      response
        .setHeader("content-type", "text/html")
        .end(`<form method="post" action="${service.url}/requests/1/approve"><input name="csrf" value="x"><button>win</button></form>`),
    ).listen(0, "127.0.0.1")
    t.after(() => void evil.close())
    await once(evil, "listening")
    for (const host of ["localhost", "127.0.0.1"]) {
      await page.goto(`http://${host}:${(evil.address() as AddressInfo).port}/`)
      const answered = page.waitForResponse(/approve/)
      await page.getByRole("button").click()
      assert((await answered).status() >= 400)
    }
    const token = await tokenOn(page, `${service.url}/requests/1`)
    const alice = await visit(t, service, "alice")
    const others = await tokenOn(alice.page, `${service.url}/grants`)
    const post = (csrf: string, headers: Record<string, string> = {}) =>
      context.request.post(`${service.url}/requests/1/approve`, {
        form: { csrf },
        headers: { origin: service.url, ...headers },
        maxRedirects: 0,
      })
    for (const csrf of ["", "x", others]) assert.equal((await post(csrf)).status(), 403, csrf)
    assert.equal((await post(token, { origin: "https://evil.example" })).status(), 403)
    assert.equal((await service.call("alice", "GET /v1/requests/1")).body.status, "pending")
    assert.equal((await post(token)).status(), 303)
    assert.equal((await service.call("alice", "GET /v1/requests/1")).body.status, "approved")
  })

  test("a form sent twice at once is one decision, one grant and one request", async (t) => {
    const service = await startPages(t)
    await service.ask()
    const bob = await visit(t, service, "bob")
    const alice = await visit(t, service, "alice")
    const send = async ({ page, context }: Visitor, from: string, to: string, fields: Record<string, string>) => {
      const csrf = await tokenOn(page, service.url + from)
      const form = { csrf, ...fields }
      const post = () => context.request.post(service.url + to, { form, headers: { origin: service.url }, maxRedirects: 0 })
      return (await Promise.all([post(), post(), post()])).map((response) => [response.status(), response.headers()["location"]])
    }
    assert.deepEqual(await send(bob, "/requests/1", "/requests/1/approve", {}), three("/requests/1"))
    assert.equal((await service.call("alice", "GET /v1/requests/1")).body.decisions.length, 1)
    const ask = { target: "two-keys", for: "1h", reason: "" }
    assert.deepEqual(await send(alice, "/ask?target=two-keys", "/ask", ask), three("/requests/2"))
    const { grants, requests } = {
      ...(await service.call("alice", "GET /v1/grants")).body,
      ...(await service.call("alice", "GET /v1/requests")).body,
    }
    assert.deepEqual([grants.length, requests.length], [1, 2])
  })

  test("what cannot be done is said where it was tried", async (t) => {
    const service = await startPages(t)
    await service.ask()
    const bob = await visit(t, service, "bob", { javaScriptEnabled: false })
    await bob.page.goto(`${service.url}/requests/1`)
    await service.call("erin", "POST /v1/requests/1/deny", { reason: "no" })
    await bob.page.getByRole("button", { name: "✓ Approve" }).click()
    assert.match(await bob.page.getByRole("alert").innerText(), /It was already decided\./)
    assert.match(await bob.page.locator("main").innerText(), /✕\s+Denied/)
  })

  test("somebody else's request, and one that is not there, look the same; so do made-up addresses", async (t) => {
    const service = await startPages(t)
    await service.ask()
    const { page } = await visit(t, service, "frank")
    const pages: unknown[] = []
    for (const id of ["1", "99", "x", "1e9", "-1"]) {
      const response = await page.goto(`${service.url}/requests/${id}`)
      pages.push([response?.status(), await page.locator("main").innerText()])
    }
    assert.deepEqual(new Set(pages.map((one) => JSON.stringify(one))).size, 1)
    assert.match(String(pages[0]), /^404,There is nothing here for you/)
  })

  test("access is extended and given back, and a session of somebody else is ended, with the reason", async (t) => {
    const service = await startPages(t)
    await service.ask()
    const { body } = await service.call("bob", "POST /v1/requests/1/approve", {})
    const session = {
      id: "s_0123456789abcdef",
      gateway: "gw",
      protocol: "ssh",
      subject: "alice@example.com",
      target: "prod-host",
      as: "root",
      grant: body.grant?.id,
      client: "203.0.113.7:1",
      started_at: service.clock.now(),
    }
    await service.call("gateway", "POST /v1/gateway/sessions", { gateway: "gw", reports: [{ event: "started", session }] })
    const bob = await visit(t, service, "bob", { javaScriptEnabled: false })
    await bob.page.getByRole("link", { name: "Sessions" }).click()
    await bob.page.getByText("End this session").click()
    await bob.page.getByLabel("Reason, which is kept").fill("enough seen")
    await bob.page.getByRole("button", { name: "End it now" }).click()
    assert.match(await bob.page.getByRole("status").innerText(), /was told to end/)

    const alice = await visit(t, service, "alice", { javaScriptEnabled: false })
    await alice.page.getByRole("link", { name: "Access", exact: true }).click()
    await alice.page.getByText("Extend").click()
    await alice.page.getByLabel("Reason", { exact: true }).fill("not done yet")
    await alice.page.getByRole("button", { name: "Ask for more time" }).click()
    assert.match(await alice.page.locator("main").innerText(), /30m more, until/)
    await alice.page.getByRole("link", { name: "Access", exact: true }).click()
    await alice.page.getByText("Give back").click()
    await alice.page.getByRole("button", { name: "Give it back now" }).click()
    assert.match(await alice.page.locator("main").innerText(), /None now/)
    assert.deepEqual(
      (await service.call("alice", "GET /v1/grants?all=true")).body.grants.map(({ status }) => status),
      ["dropped"],
    )
  })

  test("the gateways: their state in words for administrators and auditors; others have no link to it and are refused", async (t) => {
    const service = await startPages(t)
    await say(service, "old-gw", "0.0.1")
    await say(service, "gw\u202e<b>")
    service.clock.advance(limits.gateway_silent_ms + 1)
    await say(service, "new-gw")
    for (const who of ["dana", "gina"]) {
      const { page, faults } = await visit(t, service, who, { javaScriptEnabled: false })
      await page.getByRole("navigation").getByRole("link", { name: "Gateways" }).click()
      const words = await page.locator("main").innerText()
      assert.match(words, /3 processes: 1 live, 2 silent\./)
      assert.match(
        words,
        /new-gw[^]*✓\s+Live[^]*Sessions\s+0[^]*old-gw[^]*…\s+Silent[^]*0\.0\.1 \(not the service's\)[^]*ssh 0\.0\.0\.0:2222/,
      )
      assert(words.includes("<b>") && !words.includes("\u202e"), "a name says what it is and moves nothing")
      assert.deepEqual(faults.found, [])
    }
    for (const who of ["alice", "bob"]) {
      const { page } = await visit(t, service, who, { javaScriptEnabled: false })
      assert.equal(await page.getByRole("link", { name: "Gateways" }).count(), 0, who)
      assert.equal((await page.goto(`${service.url}/gateways`))?.status(), 403, who)
      assert.doesNotMatch(await page.locator("body").innerText(), /old-gw|0\.0\.1/)
    }
  })

  test("every page is accessible by axe, in both colour schemes, breaks no policy and fits a small screen", async (t) => {
    const service = await startPages(t)
    await service.ask({ as: ["root"], actions: ["systemctl restart app", "x".repeat(300)], uses: 2 })
    await service.ask({ target: "deploy-only", reason: "w".repeat(200) })
    await service.call("bob", "POST /v1/requests/2/approve", {})
    await service.ask({ target: "two-keys", reason: "" })
    await service.call("bob", "POST /v1/requests/3/deny", { reason: "no" })
    await say(service, "gw")
    await say(service, `${"w".repeat(120)}/31`, "0.0.1")
    for (const colorScheme of ["light", "dark"] as const) {
      const bob = await visit(t, service, "bob", { colorScheme })
      const gina = await visit(t, service, "gina", { colorScheme, viewport: { width: 320, height: 600 } })
      const alice = await visit(t, service, "alice", { colorScheme, viewport: { width: 320, height: 600 } })
      const seen: [Visitor, readonly string[]][] = [
        [bob, ["/", "/requests", "/requests/1", "/grants", "/sessions", "/gateways"]],
        [gina, ["/", "/gateways", "/gateways?after=gw"]],
        [
          alice,
          [
            "/",
            "/requests",
            "/requests/1",
            "/requests/2",
            "/requests/3",
            "/requests/99",
            "/grants",
            "/ask",
            "/device",
            "/signed-out",
            "/ask?target=prod-host",
          ],
        ],
      ]
      for (const [{ page, faults }, paths] of seen) {
        for (const path of paths) {
          await page.goto(service.url + path)
          await page.evaluate("document.querySelectorAll('details').forEach((one) => (one.open = true))")
          assert.deepEqual(await accessibilityFaults(page), [], `${path}, ${colorScheme}`)
          assert.equal(await overflow(page), 0, `${path} fits`)
          assert.deepEqual(await smallTargets(page), [], `${path}: what is touched is at least 44 px high`)
        }
        assert.deepEqual(faults.found, [])
      }
    }
  })
})

const three = (path: string): unknown[] => Array.from({ length: 3 }, () => [303, path])

/** The token of the forms on a page. */
async function tokenOn(page: Page, url: string): Promise<string> {
  await page.goto(url)
  return page.locator("main input[name=csrf], header input[name=csrf]").first().inputValue()
}
