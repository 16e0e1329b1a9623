// Which application a host name of the gateway's leads to, and where a browser may be sent back to: never anywhere else.
import type { CurrentConfig } from "../../config/current_config.ts"
import { limits } from "../../core/limits.ts"
import type { PublicPlace } from "../public_place.ts"

export class TargetHosts {
  readonly #current: CurrentConfig
  readonly #place: PublicPlace

  constructor({ current, place }: { readonly current: CurrentConfig; readonly place: PublicPlace }) {
    this.#current = current
    this.#place = place
  }

  /** The target that `host` names: one label below the gateway's domain, at a port that is the gateway's. */
  targetAt(host: string): string | undefined {
    const http = this.#current().gateway.http
    const [, target, domain, digits = "443"] = /^([a-z0-9-]{1,63})\.([a-z0-9.-]{1,253})(?::(\d{1,5}))?$/.exec(host) ?? []
    if (!http || target === undefined || domain !== http.domain) return undefined
    const port = Number(digits)
    const { port: shown, protocol } = new URL(this.#place.url)
    // A listener at port 0 has one that is not known here, as in a trial.
    const ours = [443, http.listen.port, ...(protocol === "https:" ? [Number(shown || 443)] : [])]
    return http.listen.port === 0 || ours.includes(port) ? target : undefined
  }

  /** `url` when it is a page of `target` itself, as a URL is written; undefined for everything else. */
  pageOf(target: string, url: unknown): string | undefined {
    if (typeof url !== "string" || url.length > limits.http_return_chars_max + 400 || !URL.canParse(url)) return undefined
    const { protocol, host, username, password, href } = new URL(url)
    const itself = protocol === "https:" && username === "" && password === "" && this.targetAt(host) === target
    return itself ? href : undefined
  }
}
