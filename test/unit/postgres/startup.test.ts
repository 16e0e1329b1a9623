import assert from "node:assert/strict"
import { test } from "node:test"
import { code_gss, code_ssl, cancelRequest, int32, protocol_3_0, protocol_3_2, startupMessage } from "../../../protocols/postgres/codec.ts"
import { parseOpening, type Startup } from "../../../protocols/postgres/startup.ts"
import { GatewayError, type ErrorCode } from "../../../src/core/errors.ts"

const opening = (version: number, parameters: readonly (readonly [string, string])[]) =>
  parseOpening(startupMessage(version, parameters).subarray(4)) as Startup
const who = [
  ["user", "readonly"],
  ["database", "orders"],
] as const
const refused = (run: () => unknown, code: ErrorCode, words?: RegExp) =>
  assert.throws(run, (failure) => failure instanceof GatewayError && failure.code === code && (words?.test(failure.say) ?? true))

test("startup: role, target, database and harmless settings are read", () => {
  const startup = opening(protocol_3_0, [...who, ["application_name", "psql"], ["DateStyle", "ISO"], ["TimeZone", "UTC"]])
  assert.deepEqual([startup.user, startup.target, startup.database, startup.negotiate], ["readonly", "orders", undefined, undefined])
  assert.deepEqual(
    [...startup.settings],
    [
      ["application_name", "psql"],
      ["DateStyle", "ISO"],
      ["TimeZone", "UTC"],
    ],
  )
  const named = opening(protocol_3_0, [
    ["user", "readonly"],
    ["database", "orders/shop"],
  ])
  assert.deepEqual([named.target, named.database], ["orders", "shop"])
})

test("startup: 3.0 and 3.2 are spoken; 3.1, greased minors and unknown options are negotiated down, another major refused", () => {
  assert.equal(opening(protocol_3_2, who).negotiate, undefined)
  const reserved = opening(protocol_3_0 + 1, who)
  assert.deepEqual([reserved.version, reserved.negotiate], [protocol_3_0, { unknown: [] }])
  const greased = opening(protocol_3_0 + 9_999, [...who, ["_pq_.test_protocol_negotiation", ""]])
  assert.deepEqual([greased.version, greased.negotiate], [protocol_3_2, { unknown: ["_pq_.test_protocol_negotiation"] }])
  refused(() => opening(131_072, who), "unsupported")
  refused(() => opening(4 << 16, who), "unsupported")
})

test("startup: options and replication are for the target to take; empty, or off, they are nothing", () => {
  const asked = opening(protocol_3_0, [...who, ["options", "-c work_mem=1MB"], ["replication", "database"]])
  assert.deepEqual(asked.wants, ["options", "replication"])
  assert.deepEqual([asked.settings.get("options"), asked.settings.get("replication")], ["-c work_mem=1MB", "database"])
  assert.deepEqual(opening(protocol_3_0, [...who, ["options", ""], ["replication", "off"]]).wants, [])
})

test("startup: what a client tells the gateway in its options is taken out of them, and the rest passes byte for byte", () => {
  const options = (value: string) => opening(protocol_3_0, [...who, ["options", value]])
  for (const value of ["-c sluice.login=oauth", "-csluice.login=oauth", "--sluice.login=oauth", "-c  SLUICE.Login=oauth"]) {
    const { login, wants, settings } = options(value)
    assert.deepEqual([login, wants, settings.size], ["oauth", [], 0], value)
  }
  const mixed = options("-c work_mem=1MB -c sluice.login=oauth -c search_path=a\\ b")
  assert.deepEqual(
    [mixed.login, mixed.wants, mixed.settings.get("options")],
    ["oauth", ["options"], "-c work_mem=1MB -c search_path=a\\ b"],
  )
  assert.equal(options("-c work_mem=1MB  -B 3").settings.get("options"), "-c work_mem=1MB  -B 3")
  // What only looks like ours is the target's to take or to refuse: it is never left out.
  for (const value of ["-c x=sluice.login=oauth", "-B sluice.login=oauth", "-c 'sluice.login=oauth'", "-c sluice\\", "-c"])
    assert.deepEqual([options(value).login, options(value).settings.get("options")], [undefined, value], value)
  for (const value of ["-c sluice.login=none", "-c sluice.logins=oauth", "-c sluice.login=oauth --sluice.login=token", "-c sluice.=1"])
    refused(() => options(value), "unsupported", /sluice\.login|option sluice/)
})

test("startup: a client of the replication protocol that can say no database says its target behind the role", () => {
  const physical = (user: string, database?: string) =>
    opening(protocol_3_0, [["user", user], ["replication", "true"], ...(database ? [["database", database] as const] : [])])
  for (const database of [undefined, "replication"]) {
    const { user, target } = physical("rep@licator@orders", database)
    assert.deepEqual([user, target], ["rep@licator", "orders"])
  }
  assert.deepEqual([physical("a@b", "orders").user, physical("a@b", "orders").target], ["a@b", "orders"])
  assert.equal(physical("replicator", "replication").target, "replication")
  refused(() => physical("replicator"), "unsupported", /dbname/)
  const ordinary = opening(protocol_3_0, [
    ["user", "a@b"],
    ["database", "replication"],
  ])
  assert.deepEqual([ordinary.user, ordinary.target], ["a@b", "replication"])
})

test("startup: search_path and anything else off the list are refused by name", () => {
  for (const name of ["Options", "REPLICATION", "search_path", "session_authorization", "role", "User"]) {
    refused(
      () =>
        opening(protocol_3_0, [
          ["database", "orders"],
          [name, "database"],
        ]),
      "unsupported",
      new RegExp(`"${name}"`),
    )
  }
  refused(() => opening(protocol_3_0, [...who, ["evil\u001b[31m", "1"]]), "unsupported", /parameter sent is not/)
})

test("startup: an empty user or target, a name given twice in any case, and ragged ends are refused", () => {
  refused(() => opening(protocol_3_0, [["database", "orders"]]), "unsupported", /user/)
  refused(() => opening(protocol_3_0, [["user", "readonly"]]), "unsupported", /dbname/)
  refused(
    () =>
      opening(protocol_3_0, [
        ["user", "readonly"],
        ["database", "/postgres"],
      ]),
    "unsupported",
  )
  refused(() => opening(protocol_3_0, [...who, ["user", "postgres"]]), "protocol_broken")
  refused(() => opening(protocol_3_0, [...who, ["DATESTYLE", "ISO"], ["DateStyle", "ISO"]]), "protocol_broken")
  const packet = startupMessage(protocol_3_0, who).subarray(4)
  for (let cut = 4; cut < packet.length; cut++) refused(() => parseOpening(packet.subarray(0, cut)), "protocol_broken")
  refused(() => parseOpening(Buffer.concat([packet, Buffer.from("user\0postgres\0\0")])), "protocol_broken")
  refused(() => parseOpening(Buffer.alloc(2)), "protocol_broken")
})

test("startup: requests for encryption and cancel keys are told apart, with nothing else in them", () => {
  assert.deepEqual(parseOpening(int32(code_ssl)), { kind: "ssl" })
  assert.deepEqual(parseOpening(int32(code_gss)), { kind: "gss" })
  refused(() => parseOpening(Buffer.concat([int32(code_ssl), int32(0)])), "protocol_broken")
  const key = { pid: 77, secret: Buffer.alloc(32, 9) }
  assert.deepEqual(parseOpening(cancelRequest(key).subarray(4)), { kind: "cancel", key })
  refused(() => parseOpening(cancelRequest({ pid: 1, secret: Buffer.alloc(3) }).subarray(4)), "protocol_broken")
  refused(() => parseOpening(cancelRequest({ pid: 1, secret: Buffer.alloc(257) }).subarray(4)), "protocol_broken")
})
