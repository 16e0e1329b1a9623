import assert from "node:assert/strict"
import { execFileSync } from "node:child_process"
import { writeFileSync } from "node:fs"
import { join } from "node:path"
import { test } from "node:test"
import type { AuthorityView } from "../../../src/api/schema.ts"
import { limits } from "../../../src/core/limits.ts"
import { scratch } from "../../support/scratch.ts"
import { blobOf, sshKey } from "../../support/ssh_certificates.ts"
import { hour, type Reply, type Service, startService } from "./service.ts"

const folder = scratch("target-certificates")
const key = sshKey()
const session = "s_0000000000000000"

/** A grant of alice's, approved by bob. */
async function granted(service: Service, asked: object = {}): Promise<{ id: string; ends_at: number }> {
  const { body: request } = await service.ask(asked)
  const { body } = await service.call("bob", `POST /v1/requests/${request.id}/approve`, {})
  assert(body.grant)
  return body.grant
}

const certify = (service: Service, grant: string, changes: object = {}): Promise<Reply> =>
  service.call("gateway", `POST /v1/gateway/grants/${grant}/certificate`, {
    gateway: "gw",
    session,
    login: "root",
    public_key: key.publicKey,
    ...changes,
  })

const authorities = async (service: Service, kind: AuthorityView["kind"]): Promise<AuthorityView[]> => {
  const { body } = await service.call(undefined, "GET /v1/authorities")
  return (body as unknown as { authorities: AuthorityView[] }).authorities.filter((one) => one.kind === kind)
}

function readBySsh(line: string): string {
  const file = join(folder, "key-cert.pub")
  writeFileSync(file, `${line}\n`)
  return execFileSync("ssh-keygen", ["-L", "-f", file], { encoding: "utf8", env: { ...process.env, TZ: "UTC" } })
}

const lineOf = ({ status, body }: Reply): string => {
  assert.equal(status, 200, JSON.stringify(body))
  return (body as unknown as { certificate: string }).certificate
}

test("target certificates: for the login alone, naming session, grant and person, some minutes long, and on record", async (t) => {
  const service = await startService(t)
  const grant = await granted(service)
  const read = readBySsh(lineOf(await certify(service, grant.id)))
  assert.match(read, /user certificate/)
  assert.ok(read.includes(`Key ID: "${session} ${grant.id} alice@example.com"`), read)
  assert.match(read, /Principals: \n\s+root\n\s+Critical Options: \(none\)\n\s+Extensions: \n\s+permit-pty\n$/)
  const until = new Date(service.clock.now() + limits.target_certificate_ms)
  assert.ok(read.includes(`to ${until.toISOString().slice(0, 19)}`), read)
  const { body } = await service.call("dana", "GET /v1/audit?kind=target_certificate.*")
  const [event] = (body as unknown as { events: { grant: string; session: string; detail: { subject: string; login: string } }[] }).events
  assert.deepEqual(
    [event?.grant, event?.session, event?.detail.subject, event?.detail.login],
    [grant.id, session, "alice@example.com", "root"],
  )
})

test("target certificates: its CA is not the one that signs people's", async (t) => {
  const service = await startService(t)
  const grant = await granted(service)
  const certificate = blobOf(lineOf(await certify(service, grant.id)))
  const [target] = await authorities(service, "ssh-target")
  const [user] = await authorities(service, "ssh-user")
  assert.ok(certificate.includes(blobOf(target?.public ?? "")))
  assert.equal(certificate.includes(blobOf(user?.public ?? "")), false)
  const own = await service.call("alice", "POST /v1/certificates", { ssh_public_key: key.publicKey })
  assert.equal(blobOf((own.body as unknown as { ssh_certificate: string }).ssh_certificate).includes(blobOf(target?.public ?? "")), false)
})

test("target certificates: never beyond the end of the grant", async (t) => {
  const service = await startService(t)
  const grant = await granted(service)
  service.clock.advance(grant.ends_at - service.clock.now() - 30_000)
  const { body } = await certify(service, grant.id)
  assert.equal((body as unknown as { expires_at: number }).expires_at, Math.floor(grant.ends_at / 1000) * 1000)
  service.clock.advance(30_000)
  assert.equal((await certify(service, grant.id)).status, 409)
})

test("target certificates: not for a grant that was revoked, one that has not begun, or none", async (t) => {
  const service = await startService(t)
  const grant = await granted(service)
  await service.call("bob", `POST /v1/grants/${grant.id}/revoke`, { reason: "enough" })
  assert.equal((await certify(service, grant.id)).status, 409)
  assert.equal((await certify(service, "g_0000000000000000")).status, 404)
  const waiting = await granted(service, { first_use_within_ms: hour, reason: "another" })
  assert.equal((await certify(service, waiting.id)).status, 409)
})

test("target certificates: not for a login the target or the grant does not have, nor a target that is logged in to otherwise", async (t) => {
  const service = await startService(t)
  const limited = await granted(service, { as: ["deploy"] })
  assert.equal((await certify(service, limited.id, { login: "deploy" })).status, 200)
  for (const login of ["root", "nobody", "root,deploy", "*"])
    assert.equal((await certify(service, limited.id, { login })).status, 403, login)
  assert.equal((await certify(service, limited.id, { login: "deploy", public_key: "ssh-ed25519 AAAA" })).status, 400)
})

test("target certificates: a rotation signs with a new CA, and shows it", async (t) => {
  const service = await startService(t)
  const grant = await granted(service)
  const [before] = await authorities(service, "ssh-target")
  assert.equal((await service.call("dana", "POST /v1/authorities/ssh-target/rotate", {})).status, 200)
  const signing = (await authorities(service, "ssh-target")).filter(({ status }) => status === "signing")
  assert.equal(signing.length, 1)
  assert.notEqual(signing[0]?.public, before?.public)
  assert.ok(blobOf(lineOf(await certify(service, grant.id))).includes(blobOf(signing[0]?.public ?? "")))
})
