// The pages of a running approval service, and people who have signed in to them in a browser of their own.
import { join } from "node:path"
import type { TestContext } from "node:test"
import type { Browser, BrowserContext, BrowserContextOptions, Page } from "playwright-core"
import { type Service, startService, testConfig } from "../unit/approvals/service.ts"
import { type Faults, phone, watch } from "./chromium.ts"
import { scratch } from "./scratch.ts"

export interface Visitor {
  readonly page: Page
  readonly context: BrowserContext
  readonly faults: Faults
}

/** How somebody visits: `visit(t, service, "alice")` is a browser of its own, in which alice has signed in by a link from her terminal. */
export type Visit = (t: TestContext, service: Service, who: string, options?: BrowserContextOptions) => Promise<Visitor>

export const visitsIn =
  (browser: () => Browser): Visit =>
  async (t, service, who, options = {}) => {
    const context = await browser().newContext({ ...phone, ...options })
    t.after(() => context.close())
    const faults = watch(context)
    const page = await context.newPage()
    await signIn(page, service, who)
    return { page, context, faults }
  }

const folder = scratch("pages")
let services = 0

/** Where people reach it is where it listens. */
export const startPages = (t: TestContext): Promise<Service> => {
  const { approvals, gateway } = testConfig("/")
  return startService(t, {
    approvals: { ...approvals, store: { kind: "sqlite", path: join(folder, `${++services}.db`) }, public_url: "http://127.0.0.1:0" },
    gateway: { ...gateway, ssh: { listen: { host: "127.0.0.1", port: 22 } } },
  })
}

/** With the link that `ssh gateway login` prints. */
export async function signIn(page: Page, service: Service, who: string, wanted = "/"): Promise<void> {
  const { body } = await service.call("gateway", "POST /v1/gateway/link", { subject: `${who}@example.com`, via: "a test" })
  await page.goto(String((body as { url?: string }).url))
  await page.locator("main").getByRole("button", { name: "Sign in" }).click()
  await page.waitForURL(service.url + wanted)
}
