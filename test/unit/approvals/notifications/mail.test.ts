// Mail: to those it concerns and nobody else, as text, with headers that nobody's words can reach.
import assert from "node:assert/strict"
import { once } from "node:events"
import { createServer, type AddressInfo } from "node:net"
import test, { type TestContext } from "node:test"
import type { EmailChannel } from "../../../../src/config/config.ts"
import { limits } from "../../../../src/core/limits.ts"
import { Secret } from "../../../../src/core/secret.ts"
import { selfSigned } from "../../../support/certificate.ts"
import { type MailServer, startMailServer } from "../../../support/mail_server.ts"
import { needs } from "../../../support/tools.ts"
import { eventually } from "../../../support/wait.ts"
import { type Service, startService } from "../service.ts"

const channel = (port: number, change: Partial<EmailChannel> = {}): EmailChannel => ({
  name: "mail",
  on: ["request.asked", "request.approved", "request.denied", "grant.revoked"],
  way: "email",
  smtp: { host: "127.0.0.1", port, tls: "starttls_if_offered", login: undefined },
  ca: undefined,
  from: "sluice@example.com",
  to: ["approvers", "requester"],
  addresses: new Map([["erin@example.com", "erin.pager@example.net"]]),
  ...change,
})

async function mailing(t: TestContext, change: Partial<EmailChannel> = {}): Promise<{ service: Service; server: MailServer }> {
  const server = await startMailServer()
  t.after(() => server.stop())
  return { server, service: await startService(t, { notify: [channel(server.port, change)] }) }
}
const to = ({ mails }: MailServer): string[] => mails.flatMap((mail) => mail.to).sort()

test("mail: those who may decide are asked, each alone; the one who asked is told what was decided", async (t) => {
  const { service, server } = await mailing(t)
  await service.ask({ reason: "INC-7: pods crash" })
  await eventually("the approvers' mails", () => server.mails.length === 2)
  assert.deepEqual(to(server), ["bob@example.com", "erin.pager@example.net"])
  const [{ headers, text, from } = assert.fail()] = server.mails
  assert.equal(from, "sluice@example.com")
  assert.equal(headers.get("subject"), "[sluice] alice@example.com asks for prod-host")
  assert.match(headers.get("content-type") ?? "", /^text\/plain; charset=utf-8$/)
  assert.match(text, /Reason: +INC-7: pods crash/)
  assert.match(text, /Approve or deny: http:\/\/127\.0\.0\.1\/requests\/1/)
  await service.call("bob", "POST /v1/requests/1/approve", { reason: "go" })
  await eventually("the answer", () => server.mails.length === 3)
  assert.deepEqual(server.mails[2]?.to, ["alice@example.com"])
  assert.match(server.mails[2]?.text ?? "", /prod-host is approved for alice@example.com/)
})

test("mail: nobody is told of what they did themselves, and fixed addresses are told of everything", async (t) => {
  const { service, server } = await mailing(t, { to: ["requester", "audit@example.com"], on: ["grant.*"] })
  const { body } = await service.ask({ target: "grafana" })
  await eventually("the rule's grant", () => server.mails.length === 2)
  await service.call("alice", `POST /v1/grants/${body.grant?.id}/drop`, {})
  await eventually("the drop", () => server.mails.length === 3)
  assert.deepEqual(to(server), ["alice@example.com", "audit@example.com", "audit@example.com"])
})

test("mail: words cannot add a header, a recipient or a part, nor hide what stands after them", async (t) => {
  const { service, server } = await mailing(t, { to: ["bob@example.com"] })
  const reason = 'x" <eve@evil.example>, =?utf-8?q?=0d=0aBcc:_eve=40evil.example?= Content-Type: text/html <b>approved</b>'
  await service.ask({ reason })
  await eventually("the mail", () => server.mails.length === 1)
  const [{ headers, text, to: recipients } = assert.fail()] = server.mails
  assert.deepEqual(recipients, ["bob@example.com"])
  assert(!headers.has("bcc"))
  assert.match(headers.get("content-type") ?? "", /^text\/plain/)
  assert(![...headers.values()].some((value) => value.includes("evil")))
  assert(text.includes(`Reason:   ${reason}`))
})

test("mail: over TLS that is checked, with a login; a server that offers no TLS gets nothing", { skip: needs("openssl") }, async (t) => {
  const { cert, key } = await selfSigned(["localhost", "127.0.0.1"])
  const login = { user: "sluice", password: new Secret("hunter2-hunter2") }
  const server = await startMailServer({
    key,
    cert,
    authOptional: false,
    onAuth: ({ username, password }, _session, done) =>
      username === login.user && password === login.password.reveal() ? done(null, { user: username }) : done(new Error("no")),
  })
  const bare = await startMailServer()
  t.after(() => Promise.all([server.stop(), bare.stop()]))
  const smtp = { host: "localhost", port: server.port, tls: "starttls", login } as const
  const common = { to: ["bob@example.com"], on: ["request.asked"] }
  const service = await startService(t, {
    notify: [
      channel(server.port, { ...common, smtp, ca: cert }),
      channel(server.port, { ...common, name: "untrusting", smtp }),
      channel(bare.port, { ...common, name: "bare", smtp: { ...smtp, port: bare.port } }),
    ],
  })
  await service.ask()
  await eventually("the mail", () => server.mails.length === 1)
  assert.deepEqual([server.mails[0]?.secure, server.mails[0]?.user], [true, "sluice"])
  await eventually("the others to fail", () => service.log.filter((line) => line.includes("it is tried again")).length >= 2)
  assert.equal(server.mails.length + bare.mails.length, 1)
  assert(!service.log.some((line) => line.includes("hunter2")))
})

test("mail: a server that refuses, hangs or is not there is tried again, and the mail keeps its id", async (t) => {
  const { service, server } = await mailing(t, { to: ["bob@example.com"], on: ["request.asked"] })
  server.refuse = "mailbox unavailable"
  await service.ask()
  await eventually("the refusal", () => service.log.some((line) => line.includes("it is tried again")))
  server.refuse = undefined
  service.clock.advance(limits.notification_retry_ms_max)
  await eventually("the mail", () => server.mails.length === 1)
  assert.match(server.mails[0]?.headers.get("message-id") ?? "", /^<n_[0-9a-z]{16}@example\.com>$/)
})

test("mail: a server that says nothing is given a bounded time, and its connection is closed", async (t) => {
  const silent = createServer().listen(0, "127.0.0.1")
  await once(silent, "listening")
  t.after(() => void silent.close())
  const service = await startService(t, { notify: [channel((silent.address() as AddressInfo).port, { to: ["bob@example.com"] })] })
  const connected = once(silent, "connection")
  await service.ask()
  const [socket] = (await connected) as [import("node:net").Socket]
  socket.resume()
  const closed = once(socket, "close")
  service.clock.advance(limits.notification_send_ms_max)
  await closed
  await eventually("it to be said", () => service.log.some((line) => line.includes("took too long")))
})
