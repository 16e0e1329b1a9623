// The section `notify`: who is told of what, and how. Each channel goes one way: a webhook, Slack, or mail.
import { X509Certificate } from "node:crypto"
import { isIP } from "node:net"
import { z } from "zod"
import type { Secret } from "../core/secret.ts"
import { isLabel, parseAddress } from "./address.ts"
import type { Channel, EmailChannel, SlackChannel, SmtpServer, WebhookChannel } from "./config.ts"
import { channel as channelSchema, type ChannelFile } from "./notification_schema.ts"
import type { Reading } from "./reading.ts"
import type { Path } from "./source.ts"

/** What people want to hear of when the file does not say. */
const usual = [
  "request.asked",
  "request.escalated",
  "request.approved",
  "request.denied",
  "grant.revoked",
  "break_glass.*",
  "action.flagged",
] as const

export function readChannels(reading: Reading): Channel[] {
  reading.section(z.array(z.unknown()).default([]), ["notify"])
  const channels: Channel[] = []
  const names = new Set<string>()
  for (let index = 0; index < reading.countAt(["notify"]); index++) {
    const path: Path = ["notify", index]
    const file = reading.section(channelSchema, path)
    if (!file) continue
    if (!isLabel(file.name)) reading.problem([...path, "name"], "lower case letters, digits and - make a channel's name")
    if (names.has(file.name))
      reading.problem([...path, "name"], `${reading.written([...path, "name"])} is the name of another channel already`)
    names.add(file.name)
    const channel = readChannel(reading, path, file)
    if (channel) channels.push(channel)
  }
  return channels
}

const ways = ["webhook", "slack", "email"] as const

function readChannel(reading: Reading, path: Path, file: ChannelFile): Channel | undefined {
  const [way, ...more] = ways.filter((name) => file[name] !== undefined)
  if (more.length > 0) reading.problem(path, `a channel has one of ${ways.join(", ")}; here are ${[way, ...more].join(" and ")}`)
  const common = { name: file.name, on: readKinds(reading, [...path, "on"], file.on) }
  if (file.webhook) return readWebhook(reading, { path: [...path, "webhook"], common, file: file.webhook })
  if (file.slack) return readSlack(reading, { path: [...path, "slack"], common, file: file.slack })
  if (file.email) return readEmail(reading, { path: [...path, "email"], common, file: file.email })
  reading.problem(path, `a channel says how it is reached: one of ${ways.join(", ")} is missing`)
  return undefined
}

function readKinds(reading: Reading, path: Path, written: string | readonly string[] | undefined): readonly string[] {
  if (written === undefined) return usual
  const kinds = [written].flat()
  for (const [index, kind] of kinds.entries()) {
    const at = typeof written === "string" ? path : [...path, index]
    if (!/^[a-z_]+\.([a-z_]+|\*)$/.test(kind)) reading.problem(at, "expected a kind of event, such as request.asked or request.*")
  }
  return [...new Set(kinds)]
}

interface Way<File> {
  readonly path: Path
  readonly common: Pick<Channel, "name" | "on">
  readonly file: File
}

function readWebhook(reading: Reading, { path, common, file }: Way<NonNullable<ChannelFile["webhook"]>>): WebhookChannel | undefined {
  const secret = readKey(reading, [...path, "secret"], file.secret)
  const url = readReceiver(reading, [...path, "url"], file.url)
  return secret && url && { ...common, way: "webhook", url, secret }
}

function readSlack(reading: Reading, { path, common, file }: Way<NonNullable<ChannelFile["slack"]>>): SlackChannel | undefined {
  const webhook = reading.secret([...path, "webhook"], file.webhook)
  const signing_secret = file.signing_secret === undefined ? undefined : readKey(reading, [...path, "signing_secret"], file.signing_secret)
  for (const id of Object.keys(file.people))
    if (!/^[UW][A-Z0-9]{2,30}$/.test(id)) reading.problemWithKey([...path, "people", id], "expected a Slack user id, such as U012AB3CD")
  const url = webhook && readReceiver(reading, [...path, "webhook"], webhook.reveal())
  return webhook && url && { ...common, way: "slack", webhook, signing_secret, people: new Map(Object.entries(file.people)) }
}

function readEmail(reading: Reading, { path, common, file }: Way<NonNullable<ChannelFile["email"]>>): EmailChannel | undefined {
  const smtp = readSmtp(reading, [...path, "smtp"], file.smtp)
  if (file.ca !== undefined && !isCertificate(file.ca))
    reading.problem([...path, "ca"], "this is not a certificate in PEM; to name a file, write file:ca.crt")
  const to = [file.to].flat()
  for (const [index, one] of to.entries()) {
    const at = typeof file.to === "string" ? [...path, "to"] : [...path, "to", index]
    if (one !== "approvers" && one !== "requester" && !isMailbox(one))
      reading.problem(at, "expected approvers, requester or an e-mail address")
  }
  if (!isMailbox(file.from)) reading.problem([...path, "from"], "expected an e-mail address, such as sluice@example.com")
  for (const [name, address] of Object.entries(file.addresses))
    if (!isMailbox(address)) reading.problem([...path, "addresses", name], "expected an e-mail address")
  return smtp && { ...common, way: "email", smtp, ca: file.ca, from: file.from, to, addresses: new Map(Object.entries(file.addresses)) }
}

/** One plain mailbox (RFC 5321, section 4.1.2, without quotes and comments): nothing in it can end a header or name a second one. */
export const isMailbox = (text: string): boolean =>
  text.length <= 254 &&
  /^[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}@([A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?\.)*[A-Za-z0-9-]{1,63}$/.test(text)

const key_chars_min = 16

function readKey(reading: Reading, path: Path, text: string): Secret | undefined {
  if (reading.isReference(path) && text.length < key_chars_min)
    reading.problem(path, `a signing secret has at least ${key_chars_min} characters: openssl rand -hex 32`)
  return reading.secret(path, text)
}

/** What is told must not be read on the way: https, except to this machine itself. The URL itself is never repeated: it may be a secret. */
function readReceiver(reading: Reading, path: Path, text: string): URL | undefined {
  const url = URL.canParse(text) ? new URL(text) : undefined
  const safe = url && (url.protocol === "https:" || (url.protocol === "http:" && isLoopback(url.hostname)))
  if (!safe || url.username || url.password || url.hash) {
    reading.problem(path, "expected a URL that begins with https:// (http:// is for this machine alone), without user and password")
    return undefined
  }
  return url
}

function readSmtp(reading: Reading, path: Path, text: string): SmtpServer | undefined {
  const wrong = (words: string): undefined => {
    reading.problem(path, words)
  }
  const url = URL.canParse(text) ? new URL(text) : undefined
  if (!url || !/^smtps?:$/.test(url.protocol) || url.hostname === "" || !/^\/?$/.test(url.pathname) || url.search || url.hash)
    return wrong("expected smtp://host:587 or smtps://host:465")
  if (url.password !== "" && !reading.isReference(path))
    return wrong("a secret is not written here itself: with a password in it, the URL is an env:NAME, file:path or exec:command")
  if ((url.username === "") !== (url.password === "")) return wrong("a user and a password go together")
  const secure = url.protocol === "smtps:"
  const address = parseAddress(`${url.hostname}:${url.port || (secure ? 465 : 587)}`, 1)
  if (!address) return wrong("expected smtp://host:587 or smtps://host:465")
  const password = url.password === "" ? undefined : reading.secret(path, decodeURIComponent(url.password))
  return {
    ...address,
    tls: secure ? "implicit" : isLoopback(url.hostname) ? "starttls_if_offered" : "starttls",
    login: password && { user: decodeURIComponent(url.username), password },
  }
}

export const isLoopback = (hostname: string): boolean => {
  const host = hostname.replace(/^\[|\]$/g, "")
  return host === "localhost" || host === "::1" || (isIP(host) === 4 && host.startsWith("127."))
}

function isCertificate(pem: string): boolean {
  try {
    return new X509Certificate(pem).subject !== undefined
  } catch {
    return false
  }
}
