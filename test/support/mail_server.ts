// A real mail server (smtp-server) that keeps what it is given.
import { once } from "node:events"
import type { AddressInfo } from "node:net"
import { SMTPServer, type SMTPServerOptions } from "smtp-server"

export interface Mail {
  readonly from: string
  readonly to: readonly string[]
  readonly user: string | undefined
  /** Whether it came over TLS. */
  readonly secure: boolean
  readonly headers: ReadonlyMap<string, string>
  readonly text: string
  readonly raw: string
}

export interface MailServer {
  readonly port: number
  readonly mails: Mail[]
  /** Answers a recipient with this instead of taking it. */
  refuse: string | undefined
  stop(): Promise<void>
}

export async function startMailServer(options: SMTPServerOptions = {}, port = 0): Promise<MailServer> {
  const mails: Mail[] = []
  const server = new SMTPServer({
    authOptional: true,
    disabledCommands: options.key ? [] : ["STARTTLS"],
    onRcptTo: (_address, _session, done) => done(mailServer.refuse === undefined ? undefined : new Error(mailServer.refuse)),
    onData(stream, session, done) {
      const chunks: Buffer[] = []
      stream.on("data", (chunk: Buffer) => chunks.push(chunk))
      stream.on("end", () => {
        const { mailFrom, rcptTo } = session.envelope
        const raw = Buffer.concat(chunks).toString("utf8")
        mails.push({
          from: mailFrom === false ? "" : mailFrom.address,
          to: rcptTo.map(({ address }) => address),
          user: session.user,
          secure: session.secure,
          ...parsed(raw),
          raw,
        })
        done()
      })
    },
    ...options,
  })
  server.on("error", () => {})
  server.listen(port, "127.0.0.1")
  await once(server.server, "listening")
  const mailServer: MailServer = {
    port: (server.server.address() as AddressInfo).port,
    mails,
    refuse: undefined,
    stop: () => new Promise((resolve) => server.close(() => resolve())),
  }
  return mailServer
}

/** Headers unfolded, by lower-case name; the text with its transfer encoding undone. */
function parsed(raw: string): Pick<Mail, "headers" | "text"> {
  const at = raw.indexOf("\r\n\r\n")
  const lines = raw
    .slice(0, at)
    .replaceAll(/\r\n[ \t]+/g, " ")
    .split("\r\n")
  const headers = new Map(lines.map((line) => [line.slice(0, line.indexOf(":")).toLowerCase(), line.slice(line.indexOf(":") + 1).trim()]))
  return { headers, text: decoded(raw.slice(at + 4), headers.get("content-transfer-encoding") ?? "7bit") }
}

function decoded(body: string, encoding: string): string {
  if (encoding === "base64") return Buffer.from(body, "base64").toString("utf8")
  if (encoding !== "quoted-printable") return body
  const bytes = body
    .replaceAll("=\r\n", "")
    .replaceAll(/=([0-9A-F]{2})/g, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)))
  return Buffer.from(bytes, "latin1").toString("utf8")
}
