// Mail through SMTP: text alone, to one address a message, so that nobody learns of the others. What a requester wrote is only in
// the body, a line each, and headers hold checked names.
import nodemailer, { type Transporter } from "nodemailer"
import type { EmailChannel } from "../../config/config.ts"
import type { Clock } from "../../core/clock.ts"
import { limits } from "../../core/limits.ts"
import { utc } from "../../core/utc.ts"
import { factsOf, isOpen, isToDecide, linkOf, type Notice, titleOf } from "./notice.ts"
import type { Sent } from "./post.ts"

interface Mail {
  readonly id: string
  readonly recipient: string
  readonly notice: Notice
  readonly public_url: string
}

export class Mailer {
  readonly #channel: EmailChannel
  readonly #clock: Clock

  constructor(channel: EmailChannel, clock: Clock) {
    this.#channel = channel
    this.#clock = clock
  }

  /** Never rejects. A connection a message: a server that hangs holds up no other. */
  async send(mail: Mail, signal: AbortSignal): Promise<Sent> {
    const controller = new AbortController()
    const stop = (): void => controller.abort()
    const timer = this.#clock.after(limits.notification_send_ms_max, stop)
    signal.addEventListener("abort", stop, { once: true })
    if (signal.aborted) stop()
    const transport = this.#connect()
    try {
      await transport.sendMail({ ...this.#message(mail), signal: controller.signal })
      return { done: true }
    } catch (failure) {
      return { done: false, why: controller.signal.aborted ? "the mail server took too long" : wordsOf(failure) }
    } finally {
      timer.cancel()
      signal.removeEventListener("abort", stop)
      transport.close()
    }
  }

  #connect(): Transporter {
    const { smtp, ca } = this.#channel
    return nodemailer.createTransport({
      host: smtp.host,
      port: smtp.port,
      secure: smtp.tls === "implicit",
      requireTLS: smtp.tls === "starttls",
      ...(smtp.login ? { auth: { user: smtp.login.user, pass: smtp.login.password.reveal() } } : {}),
      tls: { minVersion: "TLSv1.2", ...(ca === undefined ? {} : { ca }) },
      connectionTimeout: limits.notification_send_ms_max,
      greetingTimeout: limits.notification_send_ms_max,
      socketTimeout: limits.notification_send_ms_max,
      disableFileAccess: true,
      disableUrlAccess: true,
      logger: false,
    })
  }

  #message({ id, recipient, notice, public_url }: Mail) {
    const link = linkOf(notice, public_url)
    const deciding = isToDecide(notice) && isOpen(notice, this.#clock.now())
    const lines = [
      titleOf(notice),
      "",
      ...factsOf(notice).map(({ label, value }) => `${`${label}:`.padEnd(9)} ${value}`),
      `${"At:".padEnd(9)} ${utc(notice.event.at)}`,
      ...(link === undefined ? [] : ["", deciding ? `Approve or deny: ${link}` : link]),
      "",
      `${notice.event.kind}, notification ${id}`,
      "",
    ]
    const domain = this.#channel.from.slice(this.#channel.from.lastIndexOf("@") + 1)
    return {
      from: { name: "Sluice", address: this.#channel.from },
      to: { name: "", address: recipient },
      subject: `[sluice] ${titleOf(notice)}`,
      // The same for every attempt: a mail program shows what came twice once.
      messageId: `<${id}@${domain}>`,
      headers: { "Auto-Submitted": "auto-generated" }, // RFC 3834: no out-of-office answers
      text: lines.join("\n"),
    }
  }
}

function wordsOf(failure: unknown): string {
  const { code = "", responseCode } = failure as { code?: string; responseCode?: number }
  const about = [code, responseCode].filter(Boolean).join(" ")
  return `the mail server did not take it${about ? ` (${about})` : ""}`
}
