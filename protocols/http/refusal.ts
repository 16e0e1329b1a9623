// How HTTP says no: the status for each kind of error, and the words as text for tools, as a page for browsers. `Sluice-Error`
// tells a script that it was the gateway and not the application.
import type { IncomingMessage, ServerResponse } from "node:http"
import { GatewayError, type ErrorKind } from "../../src/core/errors.ts"
import { limits } from "../../src/core/limits.ts"

/** Exhaustive over the kinds: a new one does not compile until HTTP has an answer. */
const statuses = {
  identity: 401,
  access: 403,
  ended: 403,
  unavailable: 503,
  upstream: 502,
  protocol: 400,
  unsupported: 501,
  input: 400,
  conflict: 409,
  missing: 404,
} as const satisfies Record<ErrorKind, number>

export const statusOf = (error: GatewayError): number => (error.code === "too_large" ? 431 : statuses[error.kind])

export interface Refusal {
  readonly error: GatewayError
  /** What `Accept` said. */
  readonly accept: string | undefined
  /** Instead of the kind's own. */
  readonly status?: number
  /** More lines for the user, below the error's. */
  readonly hint?: string
  /** No further request on this connection. */
  readonly close?: boolean
}

/** `line` prints a token. */
export const tokenHint = (line: string): string => `Send a token: curl -H "Authorization: Bearer $(${line})" ...
If the application needs Authorization itself: -H "X-Sluice-Token: $(${line})"
`

/** Answers `request` with a refusal. Nothing of the response may have been sent. */
export function refuse(response: ServerResponse, refusal: Refusal): void {
  const { error, accept, status = statusOf(error), hint = "" } = refusal
  const html = accept !== undefined && /\btext\/html\b/i.test(accept)
  const words = `${error.say}\n${hint}`
  const body = Buffer.from(html ? page(words) : words)
  const headers = ["Content-Type", html ? "text/html; charset=utf-8" : "text/plain; charset=utf-8", "Content-Length", String(body.length)]
  headers.push("Cache-Control", "no-store", "X-Content-Type-Options", "nosniff", "Sluice-Error", error.code)
  headers.push("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'")
  if (status === 401) headers.push("WWW-Authenticate", 'Bearer realm="sluice"')
  if (status === 503) headers.push("Retry-After", "1")
  if (refusal.close === true || unreadIsLarge(response.req)) {
    response.shouldKeepAlive = false
    headers.push("Connection", "close")
  }
  response.writeHead(status, headers)
  response.end(body)
}

/** A small rest of an upload is read and forgotten, so that the connection can go on; a large one is not worth it. */
function unreadIsLarge(request: IncomingMessage): boolean {
  const { "content-length": declared = "0", "transfer-encoding": coding } = request.headers
  return !request.complete && (coding !== undefined || !(Number(declared) <= limits.http_discarded_bytes_max))
}

/** The same on a connection whose request could not even be parsed. */
export function refusalText(status: number, words: string): string {
  const body = `sluice: ${words}\n`
  return `HTTP/1.1 ${status} ${words}\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: ${Buffer.byteLength(body)}\r\nConnection: close\r\n\r\n${body}`
}

function page(words: string): string {
  const [first = "", ...rest] = escaped(words).trim().split("\n")
  return pageOf(`<p>${first}</p>${rest.length > 0 ? `<pre>${rest.join("\n")}</pre>` : ""}`)
}

/** A page of the gateway's own; `main` is HTML. */
export function pageOf(main: string): string {
  return `<!doctype html><html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>Sluice</title>
<style>body{font:16px/1.5 system-ui,sans-serif;max-width:42rem;margin:15vh auto;padding:0 1rem;color-scheme:light dark}pre{overflow:auto}</style>
<h1>Sluice</h1>${main}</html>
`
}

const entities: Readonly<Record<string, string>> = { "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "'": "&#39;" }
export const escaped = (text: string): string => text.replaceAll(/[&<>"']/g, (character) => entities[character] ?? "")
