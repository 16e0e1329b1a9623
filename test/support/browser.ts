// A browser as far as logging in needs one: cookies as a browser keeps and sends them, redirects followed by hand, forms with what
// they hold. It runs no script and draws nothing.
import { Agent, fetch, type Response } from "undici"

export interface Visit {
  readonly status: number
  /** Where it ended. */
  readonly url: URL
  readonly text: string
  readonly headers: Response["headers"]
  /** The URLs on the way, the last one too. */
  readonly way: readonly string[]
}

interface Cookie {
  readonly name: string
  readonly value: string
  /** As it was set. */
  readonly line: string
}

const stops = 20

export class Browser {
  /** By origin: the ports of one host share cookies in a browser, but no test has two that should. */
  readonly jar = new Map<string, Map<string, Cookie>>()
  readonly #agent: Agent

  /** `ca`: of servers that are all on this machine, whatever they are called. */
  constructor({ ca }: { readonly ca?: string } = {}) {
    const lookup = (_name: string, options: { all?: boolean }, done: (failure: null, address: never, family?: number) => void): void =>
      options.all ? done(null, [{ address: "127.0.0.1", family: 4 }] as never) : done(null, "127.0.0.1" as never, 4)
    this.#agent = new Agent({ connect: { lookup: lookup as never, ...(ca === undefined ? {} : { ca }) } })
  }

  /** Types a URL, or clicks a link. `until`: the first redirect that it does not follow. */
  get(url: string | URL, options: { readonly until?: RegExp; readonly headers?: Record<string, string> } = {}): Promise<Visit> {
    return this.#go(new URL(url), { method: "GET", headers: options.headers ?? {} }, options.until)
  }

  /** Sends the form that `visit` shows, its hidden fields with it; a button is one of `fields`. */
  submit(
    visit: Visit,
    fields: Readonly<Record<string, string>> = {},
    options: { readonly until?: RegExp; readonly headers?: Record<string, string> } = {},
  ): Promise<Visit> {
    const form = /<form[^>]*action="([^"]+)"(?![^]*<form[^>]*action="[^"]+"[^]*<form)[^]*?<\/form>/.exec(
      visit.text.replace(/<form class="me"[^]*?<\/form>/, ""),
    )
    if (!form) throw new Error(`no form on ${visit.url.href}:\n${visit.text.replace(/^[^]*<main/, "<main")}`)
    const hidden = Array.from(form[0].matchAll(/<input type="hidden" name="([^"]+)" value="([^"]*)"/g), ([, name, value]) => [
      name ?? "",
      unescaped(value ?? ""),
    ])
    const body = new URLSearchParams({ ...Object.fromEntries(hidden), ...fields })
    return this.post(new URL(form[1] ?? "", visit.url), body, options)
  }

  post(
    url: URL,
    body: URLSearchParams,
    options: { readonly until?: RegExp; readonly headers?: Record<string, string> } = {},
  ): Promise<Visit> {
    const headers = { origin: url.origin, "content-type": "application/x-www-form-urlencoded", ...options.headers }
    return this.#go(url, { method: "POST", body: body.toString(), headers }, options.until)
  }

  cookie(origin: string, name: string): Cookie | undefined {
    return this.jar.get(origin)?.get(name)
  }

  async close(): Promise<void> {
    await this.#agent.destroy()
  }

  async #go(start: URL, first: { method: string; body?: string; headers: Record<string, string> }, until?: RegExp): Promise<Visit> {
    const way: string[] = []
    let url = start
    let init: { method: string; body?: string; headers: Record<string, string> } = first
    for (let stop = 0; stop < stops; stop++) {
      way.push(url.href)
      const cookies = [...(this.jar.get(url.origin)?.values() ?? [])].map(({ name, value }) => `${name}=${value}`).join("; ")
      const headers = { accept: "text/html", ...init.headers, ...(cookies === "" ? {} : { cookie: cookies }) }
      const response = await fetch(url, { ...init, headers, redirect: "manual", dispatcher: this.#agent })
      this.#keep(url, response.headers.getSetCookie())
      const text = (await response.text()).replace(/<style>[^]*<\/style>/, "")
      const location = response.headers.get("location")
      const next = location === null ? undefined : new URL(location, url)
      if (!next || until?.test(next.href))
        return { status: response.status, url: next ?? url, text, headers: response.headers, way: next ? [...way, next.href] : way }
      init = { method: "GET", headers: {} }
      url = next
    }
    throw new Error(`too many redirects:\n${way.join("\n")}`)
  }

  #keep(url: URL, lines: readonly string[]): void {
    const jar = this.jar.get(url.origin) ?? new Map<string, Cookie>()
    this.jar.set(url.origin, jar)
    for (const line of lines) {
      const [, name = "", value = ""] = /^([^=;]+)=([^;]*)/.exec(line) ?? []
      // A browser throws away what claims `__Host-` and is not so.
      if (name.startsWith("__Host-") && (url.protocol !== "https:" || !/; Secure/.test(line) || /; Domain/.test(line))) continue
      if (/; Max-Age=0(;|$)/.test(line)) jar.delete(name)
      else jar.set(name, { name, value, line })
    }
  }
}

const unescaped = (text: string): string =>
  text.replaceAll(
    /&(amp|lt|gt|quot|#39|#96);/g,
    (_, name: string) => ({ amp: "&", lt: "<", gt: ">", quot: '"', "#39": "'", "#96": "`" })[name] ?? "",
  )
