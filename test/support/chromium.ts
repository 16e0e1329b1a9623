// A real Chromium, Debian's own, driven through playwright-core: one process for a test file, with nothing of any user in it.
import { readFileSync } from "node:fs"
import { type Browser, type BrowserContext, type BrowserContextOptions, chromium, type Page } from "playwright-core"

export const chromium_path = "/usr/bin/chromium"

const quiet = [
  "--headless",
  "--no-sandbox", // the tests run as root in CI
  "--disable-gpu",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
]

export const startBrowser = (): Promise<Browser> => chromium.launch({ executablePath: chromium_path, args: quiet })

export const phone = { viewport: { width: 390, height: 780 }, hasTouch: true, isMobile: true } as const satisfies BrowserContextOptions

/** What a page did that it must not: broken policy, failed scripts, dialogs. */
export interface Faults {
  readonly found: string[]
}

export function watch(context: BrowserContext): Faults {
  const found: string[] = []
  context.on("console", (message) => {
    // A refused form is an answer with an error status, which Chromium reports as such.
    if (message.type() === "error" && !/status of (4\d\d|503)/.test(message.text())) found.push(message.text())
  })
  context.on("weberror", (error) => void found.push(String(error.error())))
  context.on("dialog", (dialog) => {
    found.push(`dialog: ${dialog.message()}`)
    void dialog.dismiss()
  })
  return { found }
}

const axe = readFileSync(new URL(import.meta.resolve("axe-core/axe.min.js")), "utf8")

/** What axe finds against WCAG 2.2 AA and its own best practices, one line each. */
export async function accessibilityFaults(page: Page): Promise<string[]> {
  await page.evaluate(axe)
  const { violations } = await page.evaluate<{ violations: { id: string; nodes: { html: string }[] }[] }>("axe.run()")
  return violations.flatMap(({ id, nodes }) => nodes.map(({ html }) => `${id}: ${html.slice(0, 200)}`))
}

/** What the keyboard is on: its tag, its name and its text. */
export const focused = (page: Page): Promise<string> =>
  page.evaluate<string>(`(() => {
    const at = document.activeElement
    return [at.tagName, at.getAttribute("name") ?? "", at.textContent].join(" ").replaceAll(/\\s+/g, " ").trim()
  })()`)

/** How much wider the page is than the screen, in CSS pixels. */
export const overflow = (page: Page): Promise<number> =>
  page.evaluate<number>("document.documentElement.scrollWidth - document.documentElement.clientWidth")

/** What a thumb could miss: its text and height in CSS pixels. Links within a sentence are not meant. */
export const smallTargets = (page: Page): Promise<string[]> =>
  page.evaluate<string[]>(`Array.from(document.querySelectorAll("button, nav a, summary, .button, input:not([type=hidden]), textarea"))
    .map((one) => one.closest("label") ?? one)
    .map((one) => [one.getBoundingClientRect(), one.textContent])
    .filter(([{ width, height }]) => width > 0 && height < 44)
    .map(([{ height }, text]) => text.trim() + " " + height)`)
