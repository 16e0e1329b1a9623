import assert from "node:assert/strict"
import { createHash } from "node:crypto"
import type { Duplex } from "node:stream"
import { test } from "node:test"
import { setImmediate as nextTurn } from "node:timers/promises"
import { authenticationOk, int32, message, protocol_3_0, report } from "../../../protocols/postgres/codec.ts"
import type { Startup } from "../../../protocols/postgres/startup.ts"
import { connectUpstream } from "../../../protocols/postgres/upstream.ts"
import { GatewayError, type ErrorCode } from "../../../src/core/errors.ts"
import { Secret } from "../../../src/core/secret.ts"
import type { PostgresLogin, PostgresTarget } from "../../../src/core/target.ts"
import type { Session } from "../../../src/gateway/contract.ts"
import { limits } from "../../../src/core/limits.ts"
import { FakeClock } from "../../support/fake_clock.ts"
import { wire } from "../../support/wire.ts"

const startup: Startup = {
  kind: "startup",
  version: protocol_3_0,
  negotiate: undefined,
  user: "readonly",
  target: "orders",
  database: undefined,
  settings: new Map([["application_name", "psql"]]),
  wants: [],
  login: "token",
  asks: { reason: undefined, lasts: undefined },
}

const clock = new FakeClock()

/** Logs in on a server that says `lines`, one after each thing it hears. */
async function logIn(
  lines: readonly Buffer[],
  { password, tls = "disable", login = "scram-sha-256" }: { password?: string; tls?: PostgresTarget["tls"]; login?: PostgresLogin },
) {
  const { near, far } = wire()
  const left = [...lines]
  const heard: Buffer[] = []
  far.on("data", (chunk: Buffer) => {
    heard.push(chunk)
    const line = left.shift()
    if (line) far.write(line)
    if (left.length === 0) far.end()
  })
  const session = {
    dial: async () => near,
    secure: async (stream: Duplex) => stream,
  } as unknown as Session
  const target = {
    protocol: "postgres",
    name: "orders",
    labels: {},
    address: { host: "db.test", port: 5432 },
    database: "shop",
    databases: ["reports"],
    tls,
    ca: undefined,
    roles: new Map([
      ["readonly", { password: password === undefined ? undefined : new Secret(password), login, certificate: undefined, member_of: [] }],
    ]),
    creator: undefined,
    pooler: undefined,
    redact: { patterns: [], values: undefined },
    startup: { options: false, replication: false },
  } satisfies PostgresTarget
  const upstream = await connectUpstream(session, target, { startup, clock, user: startup.user, role: target.roles.get(startup.user) })
  return { upstream, heard: Buffer.concat(heard).toString("latin1") }
}

const refused = (lines: readonly Buffer[], options: Parameters<typeof logIn>[1], code: ErrorCode) =>
  assert.rejects(logIn(lines, options), (failure) => failure instanceof GatewayError && failure.code === code)

const key = message("K", int32(42), int32(7))
const ready = message("Z", Buffer.from("I"))
const asks = (method: number, data = "") => message("R", int32(method), Buffer.from(data))

test("upstream: the role, the target's own database and the client's settings are sent; the key stays here", async () => {
  const status = message("S", "server_version", "18.0")
  const { upstream, heard } = await logIn([Buffer.concat([authenticationOk(), status, key, ready])], {})
  assert.match(heard, /user\0readonly\0database\0shop\0application_name\0psql\0\0$/)
  assert.deepEqual(upstream.key, { pid: 42, secret: int32(7) })
  assert.deepEqual(upstream.greeting, [status, ready])
})

test("upstream: a password is never given to a server that asks for it in the clear or by MD5", async () => {
  await refused([asks(3)], { password: "pencil" }, "target_login_failed")
  await refused([asks(5, "salt")], { password: "pencil" }, "target_login_failed")
  await refused([asks(10, "SCRAM-SHA-256-PLUS\0\0")], { password: "pencil" }, "target_login_failed")
  await refused([asks(10, "SCRAM-SHA-256\0\0")], {}, "target_login_failed")
})

test("upstream: MD5 and clear text are answered for a role that says so, and nothing weaker than it says", async () => {
  const rest = Buffer.concat([authenticationOk(), ready])
  const { heard } = await logIn([asks(5, "salt"), rest], { password: "pencil", login: "md5" })
  // "md5" and the MD5 of the MD5 of password and user, in hex, and the salt.
  const inner = createHash("md5").update("pencilreadonly").digest("hex")
  assert(heard.endsWith(`md5${createHash("md5").update(`${inner}salt`).digest("hex")}\0`))
  assert.match((await logIn([asks(3), rest], { password: "pencil", login: "password" })).heard, /pencil\0$/)
  await refused([asks(3)], { password: "pencil", login: "md5" }, "target_login_failed")
  await refused([asks(5, "toolong")], { password: "pencil", login: "md5" }, "target_login_failed")
  await refused([asks(10, "SCRAM-SHA-256\0\0"), asks(10, "SCRAM-SHA-256\0\0")], { password: "pencil" }, "target_login_failed")
})

test("upstream: a server that lets us in without the password it should ask for is not trusted", async () => {
  await refused([Buffer.concat([authenticationOk(), ready])], { password: "pencil" }, "target_untrusted")
  const halfway = [asks(10, "SCRAM-SHA-256\0\0"), Buffer.concat([authenticationOk(), ready])]
  await refused(halfway, { password: "pencil" }, "target_untrusted")
  await refused([asks(12, "v=AAAA")], { password: "pencil" }, "target_login_failed")
})

test("upstream: a server that is full, or starts, is busy; what else it refuses with is broken or a login that failed", async () => {
  const says = (sqlstate: string) => report({ severity: "FATAL", sqlstate, message: "no" })
  for (const [sqlstate, code] of [
    ["53300", "target_busy"],
    ["57P03", "target_busy"],
    ["28P01", "target_login_failed"],
    ["3D000", "target_broke"],
  ] as const) {
    await refused([says(sqlstate)], {}, code)
    await refused([Buffer.concat([authenticationOk(), says(sqlstate)])], {}, code)
  }
})

test("upstream: before TLS exactly one byte is taken, and it must be S", async () => {
  await refused([Buffer.from("N")], { tls: "require" }, "target_untrusted")
  await refused([Buffer.from("Sx")], { tls: "require" }, "target_untrusted")
  await refused([Buffer.from("E")], { tls: "verify-full" }, "target_untrusted")
})

test("upstream: a server that talks without end, or nonsense, or leaves, is given up", async () => {
  const notices = Buffer.concat(Array.from({ length: 400 }, () => message("N", "M".repeat(1_000))))
  await refused([Buffer.concat([authenticationOk(), notices])], {}, "target_broke")
  await refused([Buffer.concat([authenticationOk(), message("D")])], {}, "target_broke")
  await refused([message("K", int32(1), Buffer.alloc(300))], {}, "target_broke")
  await refused([Buffer.concat([authenticationOk(), message("K", int32(1), Buffer.alloc(300))])], {}, "target_broke")
  await refused([Buffer.from("HTTP/1.1 400 Bad Request\r\n\r\n")], {}, "target_broke")
  await refused([authenticationOk()], {}, "target_broke")
})

test("upstream: a server that says nothing, or nothing more, is given up in time", async () => {
  const silent = [Buffer.alloc(0), Buffer.alloc(0)]
  for (const [lines, options] of [
    [silent, {}],
    [[asks(10, "SCRAM-SHA-256\0\0"), ...silent], { password: "pencil" }],
    [[authenticationOk(), ...silent], {}],
    [silent, { tls: "require" }],
  ] as const) {
    const waiting = logIn(lines, options)
    const refusal = assert.rejects(waiting, (failure) => failure instanceof GatewayError && failure.code === "target_unreachable")
    await nextTurn()
    clock.advance(limits.postgres_login_ms_max)
    await refusal
  }
})
