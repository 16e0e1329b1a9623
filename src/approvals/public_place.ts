// Where people reach the service: the URL in links and redirects, and what follows from it for cookies. It is known when the
// service listens, because a port of 0 becomes a real one then.
import type { Address } from "../core/target.ts"

export class PublicPlace {
  #url: string

  /** `url`: as in the config, without a slash at its end. */
  constructor(url: string) {
    this.#url = url
  }

  /** `listening`: in place of a port 0. */
  settle({ port }: Address): void {
    this.#url = this.#url.replace(/:0$/, `:${port}`)
  }

  get url(): string {
    return this.#url
  }

  get origin(): string {
    return new URL(this.#url).origin
  }

  get secure(): boolean {
    return this.#url.startsWith("https:")
  }

  /** `__Host-` (RFC 6265bis, section 4.1.3.2): no other host, and no page without TLS, can set it. Browsers take it over TLS alone. */
  cookieName(name: string): string {
    return this.secure ? `__Host-${name}` : name
  }

  /** `max_age_s`: left out, it goes with the browser; 0: now. */
  setCookie(name: string, value: string, max_age_s?: number): string {
    const life = max_age_s === undefined ? "" : `; Max-Age=${max_age_s}`
    return `${this.cookieName(name)}=${value}; Path=/; HttpOnly; SameSite=Lax${this.secure ? "; Secure" : ""}${life}`
  }

  /** A path of ours to go back to; "/" for anything that leads elsewhere, or could be read so. */
  back(path: unknown): string {
    if (typeof path !== "string" || path.length > 2_000 || !/^\/(?![/\\])[!-[\]-~]*$/.test(path)) return "/"
    return URL.canParse(path, this.origin) && new URL(path, this.origin).origin === this.origin ? path : "/"
  }
}

/** The one value of a cookie in a Cookie header; undefined when there is none, or more than one: then one of them is not ours. */
export function cookieValue(header: string | undefined, name: string): string | undefined {
  const values = (header ?? "").split(";").flatMap((pair) => {
    const mark = pair.indexOf("=")
    return mark !== -1 && pair.slice(0, mark).trim() === name ? [pair.slice(mark + 1).trim()] : []
  })
  return values.length === 1 ? values[0] : undefined
}
