// What strangers, clients and servers may send, bent by chance: it is read, or refused in the table's words, and nothing else happens. A
// failure names its seed.
import assert from "node:assert/strict"
import { test } from "node:test"
import { binaryValueText } from "../../../protocols/postgres/binary_value.ts"
import {
  authenticationOk,
  backendKeyData,
  cancelRequest,
  int32,
  message,
  protocol_3_0,
  protocol_3_2,
  report,
  startupMessage,
} from "../../../protocols/postgres/codec.ts"
import { downstreamOf, readStartup } from "../../../protocols/postgres/downstream.ts"
import { Inlet } from "../../../protocols/postgres/inlet.ts"
import { ScramClient } from "../../../protocols/postgres/scram.ts"
import { parseOpening } from "../../../protocols/postgres/startup.ts"
import { logIn } from "../../../protocols/postgres/upstream_login.ts"
import { readValues } from "../../../protocols/postgres/values.ts"
import { type ErrorCode, GatewayError } from "../../../src/core/errors.ts"
import { Secret } from "../../../src/core/secret.ts"
import type { Gate } from "../../../src/gateway/contract.ts"
import { Random } from "../../support/random.ts"
import { wire } from "../../support/wire.ts"
import { bind, Dialogue, execute, parse, query, sync } from "./dialogue.ts"

/** `bytes` with some of them changed, taken out, doubled or put in, or a length that lies. */
function bent(bytes: Buffer, random: Random): Buffer {
  let left = Buffer.from(bytes)
  for (let times = 1 + random.below(3); times > 0 && left.length > 0; times--) {
    const at = random.below(left.length)
    const [head, tail] = [left.subarray(0, at), left.subarray(at)]
    switch (random.below(5)) {
      case 0:
        left = Buffer.concat([head, Buffer.of(random.below(256)), tail.subarray(1)])
        break
      case 1:
        left = Buffer.concat([head, tail.subarray(1 + random.below(8))])
        break
      case 2:
        left = Buffer.concat([head, random.bytes(1 + random.below(8)), tail])
        break
      case 3:
        left = Buffer.concat([left, tail])
        break
      default: {
        const lies = [-1, 0, 3, 4, 0x7fffffff, random.below(70_000)]
        left = Buffer.concat([head, int32(random.pick(lies)), tail.subarray(4)])
      }
    }
  }
  return left
}

/** Only those of the table that such input may be answered with. */
function refusedAs(failure: unknown, seed: number, ...codes: readonly ErrorCode[]): void {
  if (!(failure instanceof GatewayError)) throw new Error(`seed ${seed}: not a refusal`, { cause: failure })
  assert.ok(codes.includes(failure.code), `seed ${seed}: ${failure.code}`)
}

const startups = [
  startupMessage(protocol_3_0, [
    ["user", "readonly"],
    ["database", "orders/shop"],
    ["application_name", "psql"],
    ["options", "-c sluice.reason=INC-7 -c work_mem=1MB"],
  ]),
  startupMessage(protocol_3_2, [
    ["user", "replicator@orders"],
    ["replication", "true"],
    ["_pq_.x", "1"],
    ["client_encoding", "UTF8"],
  ]),
  cancelRequest({ pid: 7, secret: Buffer.alloc(32, 1) }),
]

test("fuzz: a bent startup packet is read without a NUL in it, or refused", () => {
  let read = 0
  for (let seed = 1; seed <= 20_000; seed++) {
    const random = new Random(seed)
    try {
      const opening = parseOpening(bent(random.pick(startups).subarray(4), random))
      read++
      if (opening.kind !== "startup") continue
      const { user, target, database = "", settings } = opening
      assert.ok(user !== "" && target !== "", `seed ${seed}`)
      assert.ok(![user, target, database, ...[...settings].flat()].join("").includes("\0"), `seed ${seed}: a NUL goes on to the target`)
      assert.ok(
        [...settings.keys()].every((name) => !/^(user|database|search_path|role)$/i.test(name)),
        `seed ${seed}`,
      )
    } catch (failure) {
      refusedAs(failure, seed, "protocol_broken", "unsupported")
    }
  }
  assert.ok(read > 1_000)
})

test("fuzz: an opening that is cut anywhere reads the same; one that is bent is refused, or the client left", async () => {
  const arrive = async (chunks: readonly Buffer[]) => {
    const { near, far } = wire()
    const secure = () => Promise.reject(new GatewayError("protocol_broken")) // a first byte of TLS, and rubbish after it
    const opening = readStartup(downstreamOf(near), { address: "127.0.0.1:1", secure } as unknown as Gate)
    for (const chunk of chunks) far.write(chunk)
    far.end()
    far.resume()
    try {
      return await opening
    } finally {
      near.destroy()
    }
  }
  const [startup] = startups as [Buffer]
  const whole = await arrive([startup])
  for (let at = 1; at < startup.length; at++) assert.deepEqual(await arrive([startup.subarray(0, at), startup.subarray(at)]), whole)
  for (let seed = 1; seed <= 1_000; seed++) {
    const random = new Random(seed)
    await arrive(random.pieces(bent(random.pick(startups), random), 60)).catch((failure: unknown) =>
      refusedAs(failure, seed, "protocol_broken", "unsupported", "too_large"),
    )
  }
})

const asked = Buffer.concat([
  query("SELECT 1"),
  parse("s", "INSERT INTO t VALUES ($1, $2)", 23, 25),
  bind("", "s", ["1", Buffer.from("two"), null]),
  execute(),
  message("D", Buffer.from("S"), "s"),
  message("C", Buffer.from("S"), "s"),
  message("F", int32(42), Buffer.alloc(2), Buffer.alloc(2), Buffer.alloc(2)),
  sync(),
  query("COPY t FROM STDIN"),
  message("d", Buffer.from("1\n")),
  message("c"),
])
const answered = Buffer.concat([
  message("T", Buffer.alloc(2)),
  message("D", Buffer.alloc(30)),
  message("C", "SELECT 1"),
  message("Z", Buffer.from("I")),
  message("1"),
  message("2"),
  message("C", "INSERT 0 1"),
  report({ severity: "ERROR", sqlstate: "42000", message: "no" }),
  message("Z", Buffer.from("T")),
  message("S", "client_encoding", "UTF8"),
  message("G", Buffer.alloc(3)),
])

test("fuzz: bent messages of either side pass as they are up to where they are refused, and no further", () => {
  let refused = 0
  for (let seed = 1; seed <= 4_000; seed++) {
    const random = new Random(seed)
    const dialogue = new Dialogue()
    const says = [
      { bytes: bent(asked, random), pass: (chunk: Buffer) => dialogue.client(chunk) },
      { bytes: bent(answered, random), pass: (chunk: Buffer) => dialogue.server(chunk) },
    ]
    for (const { bytes, pass } of random.chance(0.5) ? says : says.reverse()) {
      const passed: Buffer[] = []
      try {
        for (const chunk of random.pieces(bytes, random.pick([3, 40, 5_000]))) {
          if (dialogue.waits) break // for a server that does not answer to it
          passed.push(pass(chunk))
        }
      } catch (failure) {
        refused++
        refusedAs(failure, seed, "protocol_broken", "unsupported", "too_large")
      }
      const all = Buffer.concat(passed)
      assert.ok(all.equals(bytes.subarray(0, all.length)), `seed ${seed}: something else passed than was sent`)
    }
  }
  assert.ok(refused > 1_000 && refused < 7_000, `${refused} refused`)
})

test("fuzz: values that lie about their sizes and types are read within the message, or refused", () => {
  const values = bind("", "", ["1", Buffer.from("0000002a", "hex"), null, Buffer.alloc(16, 3)]).subarray(7)
  for (let seed = 1; seed <= 10_000; seed++) {
    const random = new Random(seed)
    const bytes = bent(values, random)
    const oids = Array.from({ length: 6 }, () => random.pick([0, 16, 20, 23, 700, 701, 1082, 1114, 1184, 2950, 3802, 99_999]))
    try {
      const read = readValues({ bytes, start: 0, end: bytes.length, partial: random.chance(0.3), oids, room: 1_000 })
      const kept = read.values.reduce((sum, { value }) => sum + (value?.length ?? 0), 0)
      assert.ok(kept <= 2 * bytes.length && read.leftOut >= 0, `seed ${seed}`)
    } catch (failure) {
      refusedAs(failure, seed, "protocol_broken")
    }
    const text = binaryValueText(random.pick(oids), random.bytes(random.below(20)))
    assert.ok(text === undefined || typeof text === "string")
  }
})

test("fuzz: a server that bends the SCRAM conversation gets no proof of another one, and is not believed", async () => {
  const nonce = "rOprNGfwEbeRWgbNEkqO"
  const first = Buffer.from(`r=${nonce}%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096`)
  const final = Buffer.from("v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=")
  const password = new Secret("pencil")
  for (let seed = 1; seed <= 150; seed++) {
    const random = new Random(seed)
    const scram = new ScramClient({ user: "user", nonce })
    const words = bent(first, random).toString("latin1")
    try {
      const proof = await scram.final(words, password)
      assert.ok(proof.toString().startsWith(`c=biws,r=${nonce}`), `seed ${seed}: a proof for another nonce`)
    } catch (failure) {
      refusedAs(failure, seed, "target_login_failed")
    }
    const honest = words === first.toString()
    for (const lie of [final, bent(final, random)])
      if (!honest || !lie.equals(final)) assert.throws(() => scram.verify(lie.toString("latin1")), GatewayError, `seed ${seed}`)
  }
})

test("fuzz: a server that bends the login is given up as such, and never gets the password", async () => {
  const said = Buffer.concat([
    message("R", int32(10), Buffer.from("SCRAM-SHA-256\0\0")),
    message("R", int32(11), Buffer.from("r=x,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096")),
    message("R", int32(12), Buffer.from("v=AAAA")),
    authenticationOk(),
    backendKeyData({ pid: 1, secret: int32(7) }),
  ])
  const role = { password: new Secret("correct-horse"), login: "scram-sha-256", certificate: undefined, member_of: [] } as const
  for (let seed = 1; seed <= 1_000; seed++) {
    const random = new Random(seed)
    const { near, far } = wire()
    const heard: Buffer[] = []
    far.on("data", (chunk: Buffer) => heard.push(chunk))
    for (const chunk of random.pieces(bent(said, random), 60)) far.write(chunk)
    far.end()
    try {
      await assert.rejects(logIn({ stream: near, inlet: new Inlet(near, 10_000), user: "user", role }), (failure) => {
        refusedAs(failure, seed, "target_login_failed", "target_untrusted", "target_broke")
        return true
      })
    } finally {
      near.destroy()
    }
    assert.ok(!Buffer.concat(heard).includes("correct-horse"), `seed ${seed}`)
  }
})
