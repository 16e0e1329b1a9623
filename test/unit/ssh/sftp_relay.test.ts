// SFTP between two sides in memory: what reaches the other side, what is answered here, what is on record.
import assert from "node:assert/strict"
import { createHash, randomBytes } from "node:crypto"
import { suite, test } from "node:test"
import { type Field, pack } from "../../../protocols/ssh/codec.ts"
import { sftpPacket, sftpType } from "../../../protocols/ssh/sftp_packet.ts"
import type { Action } from "../../../src/core/action.ts"
import { scopeMatcher } from "../../../src/core/action_scope.ts"
import { SftpRelay } from "../../../protocols/ssh/sftp_relay.ts"
import { GatewayError } from "../../../src/core/errors.ts"
import type { RequestId } from "../../../src/core/ids.ts"
import { limits } from "../../../src/core/limits.ts"
import type { Decided, Decision } from "../../../src/gateway/contract.ts"
import type { Event } from "../../../src/record/events.ts"
import { listed } from "../../../src/record/listing.ts"

const ok = (id: number, status = 0): Buffer => sftpPacket(sftpType.status, id, status, "", "")
const given = (id: number, handle = "h"): Buffer => sftpPacket(sftpType.handle, id, handle)
const open = (id: number, path: string | Buffer, flags = 1): Buffer => sftpPacket(sftpType.open, id, path, flags, 0)
const offset = (bytes: number) => ({ uint64: BigInt(bytes) })
const write = (id: number, at: number, data: Buffer): Buffer => sftpPacket(sftpType.write, id, "h", offset(at), data)
const read = (id: number, at: number, bytes: number): Buffer => sftpPacket(sftpType.read, id, "h", offset(at), bytes)
const sha256 = (bytes: Buffer): string => createHash("sha256").update(bytes).digest("hex")

function rig(
  access: "all" | "read" = "all",
  greeted = true,
  covers: (action: Action) => boolean = () => true,
  holds: (action: Action) => boolean = () => false,
) {
  const events: Event[] = []
  const answers: Buffer[] = []
  const keep = (event: Event): boolean => events.push(event) > 0
  const recorder = {
    write: keep,
    note: keep,
    get next() {
      return events.length
    },
  }
  const waiting: ((decided?: "deny") => void)[] = []
  const kept: Buffer[] = []
  const said: string[] = []
  const decidePart = (action: Action): Decision => {
    if (holds(action)) {
      const { promise: decided, resolve } = Promise.withResolvers<Decided>()
      waiting.push((verdict) => {
        if (verdict) return resolve({ verdict, error: new GatewayError("hold_denied", { what: "request 7 was denied by bob: no" }) })
        keep({ kind: "action", verdict: "allow", action })
        resolve({ verdict: "allow", action: recorder.next - 1 })
      })
      const withdraw = (): void => resolve({ verdict: "deny", error: new GatewayError("hold_withdrawn") })
      const asked = { request: 7 as RequestId, url: "", expires_at: 0, say: "sluice: held: request 7" }
      return { verdict: "hold", decided, asked: Promise.resolve(asked), withdraw, leave: () => {} }
    }
    const number = recorder.next
    keep({ kind: "action", verdict: "allow", action })
    return { verdict: "allow", action: number }
  }
  const session = { recorder, covers, decidePart, outcome: (outcome: object) => void keep({ kind: "outcome", ...outcome } as Event) }
  const held = { keep: (unread: Buffer) => void kept.push(unread), readOn: () => {}, say: (words: string) => void said.push(words) }
  const relay = new SftpRelay({ session, channel: 7, access, digests: true, answer: (packet) => void answers.push(packet), ...held })
  const up = (...packets: Buffer[]): Buffer => Buffer.concat(relay.fromClient(Buffer.concat(packets)))
  const down = (...packets: Buffer[]): Buffer => Buffer.concat(relay.fromTarget(Buffer.concat(packets)))
  if (greeted) {
    up(sftpPacket(sftpType.init, 3))
    down(sftpPacket(sftpType.version, 3))
  }
  const of = <Kind extends Event["kind"]>(kind: Kind) =>
    events.filter((event): event is Extract<Event, { kind: Kind }> => event.kind === kind)
  return { relay, events, answers, up, down, of, waiting, kept, said }
}

suite("sftp: what a grant covers", () => {
  test("what it does not never reaches the target, is on record as denied, and the rest goes on", () => {
    const { events, answers, up, down } = rig("all", true, scopeMatcher("ssh", ["sftp read /log/*"]))
    const uncovered = [open(1, "/etc/shadow"), open(2, "/log/a", 26), open(3, "log/a"), sftpPacket(sftpType.remove, 4, "/log/a")]
    assert.equal(up(...uncovered).length, 0)
    assert.equal(answers.length, 4)
    for (const answer of answers) assert.match(answer.toString("latin1"), /sluice: your access does not cover this/)
    assert.deepEqual(
      events.map((event) => event.kind === "action" && event.verdict),
      ["deny", "deny", "deny", "deny"],
    )
    assert.ok(up(open(5, "/log/a")).length > 0)
    down(given(5))
    assert.ok(events.some((event) => event.kind === "action" && event.verdict === "allow"))
  })
})

suite("sftp: what waits", () => {
  const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))
  const removes = (action: Action): boolean => action.kind === "ssh.file" && action.op === "remove"
  const remove = (id: number): Buffer => sftpPacket(sftpType.remove, id, "/a")

  test("nothing of it passes, nor of what was sent behind it, until it is approved; then all of it does, in order, however it was cut", async () => {
    const stream = Buffer.concat([open(1, "/a"), remove(2), open(3, "/b"), remove(4)])
    for (const size of [1, 7, stream.length]) {
      const { relay, up, waiting, kept, of, said } = rig("all", true, () => true, removes)
      let passed = Buffer.alloc(0)
      const give = (bytes: Buffer): void => void (passed = Buffer.concat([passed, up(bytes)]))
      /** As a stream that was given back what could not be read yet. */
      let rest = stream
      const run = (): void => {
        while (rest.length > 0 && kept.length === 0) {
          const chunk = rest.subarray(0, size)
          rest = rest.subarray(size)
          give(chunk)
        }
        rest = Buffer.concat([...kept.splice(0), rest])
      }
      run()
      assert.deepEqual(passed, open(1, "/a"))
      give(Buffer.alloc(0))
      assert.equal(relay.fromClient(rest).length, 0, "it is not looked at again before it is decided")
      kept.splice(0)
      waiting[0]?.()
      await turn()
      run()
      assert.deepEqual(passed, stream.subarray(0, stream.length - remove(4).length))
      waiting[1]?.("deny")
      await turn()
      run()
      assert.equal(passed.length + remove(4).length, stream.length)
      assert.deepEqual([waiting.length, of("action").length], [2, 3], "each is decided about once")
      assert.ok(said.some((words) => words.includes("held: request 7")) && said.some((words) => words.includes("denied by bob")))
    }
  })

  test("denied, it is answered with the words behind the answers to what came before; who leaves takes it back", async () => {
    const { relay, up, down, waiting, kept, answers } = rig("all", true, () => true, removes)
    up(open(1, "/a"), remove(2))
    waiting[0]?.("deny")
    await turn()
    up(kept.splice(0)[0]!)
    assert.equal(answers.length, 0)
    assert.match(down(given(1)).toString("latin1"), /sluice: request 7 was denied by bob: no/)
    up(remove(3))
    relay.withdraw()
    await turn()
    up(kept.splice(0)[0]!)
    assert.match(answers[0]?.toString("latin1") ?? "", /the action was taken back/)
  })
})

suite("sftp: what passes", () => {
  test("both directions pass byte for byte, however the packets are cut", () => {
    const contents = randomBytes(40_000)
    const asked = Buffer.concat([write(2, 0, contents), write(3, 40_000, contents), sftpPacket(sftpType.close, 4, "h")])
    for (const size of [1, 3, 7, 1_000, 33_000, 1_000_000]) {
      const { relay, up, down, of } = rig()
      up(open(1, "/a b", 26))
      down(given(1))
      const passed: Buffer[] = []
      for (let at = 0; at < asked.length; at += size) passed.push(...relay.fromClient(asked.subarray(at, at + size)))
      assert.deepEqual(Buffer.concat(passed), asked)
      down(ok(2), ok(3), ok(4))
      assert.deepEqual(of("transfer"), [
        {
          kind: "transfer",
          channel: 7,
          action: 0,
          closed: true,
          bytes_up: 80_000,
          bytes_down: 0,
          sha256_up: sha256(Buffer.concat([contents, contents])),
        },
      ])
    }
  })

  test("reads are counted and digested as the target answers them", () => {
    const { up, down, of } = rig()
    const contents = randomBytes(100)
    up(open(1, "/f"))
    down(given(1))
    up(read(2, 0, 60), read(3, 60, 60), read(4, 100, 60))
    down(sftpPacket(sftpType.data, 2, contents.subarray(0, 60)), sftpPacket(sftpType.data, 3, contents.subarray(60)), ok(4, 1))
    up(sftpPacket(sftpType.close, 2, "h")) // a number that was answered is free
    down(ok(2))
    const [transfer] = of("transfer")
    assert.deepEqual([transfer?.bytes_down, transfer?.sha256_down, transfer?.sha256_up], [100, sha256(contents), undefined])
  })

  test("what went out of order, or failed, has its size and no digest", () => {
    for (const disorder of ["order", "failure"]) {
      const { up, down, of } = rig()
      up(open(1, "/f", 2))
      down(given(1))
      up(write(2, disorder === "order" ? 10 : 0, Buffer.alloc(10)), write(3, 10, Buffer.alloc(10)))
      down(ok(2, disorder === "failure" ? 4 : 0), ok(3))
      up(sftpPacket(sftpType.close, 4, "h"))
      down(ok(4))
      assert.deepEqual([of("transfer")[0]?.bytes_up, of("transfer")[0]?.sha256_up], [20, undefined])
    }
  })

  test("a client that offers a later version speaks version 3", () => {
    const { up } = rig("all", false)
    assert.deepEqual(up(sftpPacket(sftpType.init, 6)), sftpPacket(sftpType.init, 3))
  })

  test("what is still open at the end is told so", () => {
    const { relay, up, down, of } = rig()
    up(open(1, "/f", 2))
    down(given(1))
    up(write(2, 0, Buffer.from("half")))
    relay.end()
    assert.deepEqual([of("transfer")[0]?.closed, of("transfer")[0]?.bytes_up], [false, 4])
  })
})

suite("sftp: on record", () => {
  test("every change has its names and its outcome, and a name cannot forge a line of the replay", () => {
    const { up, down, events } = rig()
    const extended = (id: number, name: string, ...fields: readonly Field[]): Buffer => sftpPacket(sftpType.extended, id, name, ...fields)
    up(
      sftpPacket(sftpType.remove, 1, "a\n#9 forged\u001b[2J"),
      sftpPacket(sftpType.mkdir, 2, Buffer.from([0x66, 0xff]), 0),
      extended(3, "posix-rename@openssh.com", "from", "to"),
      sftpPacket(sftpType.symlink, 4, "points at", "link"),
      sftpPacket(sftpType.setstat, 5, "f", 4, 0o100_644),
      extended(6, "new-thing@example.com", "?"),
      sftpPacket(sftpType.stat, 7, "f"),
    )
    down(ok(1), ok(2, 4), ok(3), ok(4), ok(5), sftpPacket(sftpType.extended_reply, 6, "!"), sftpPacket(sftpType.attrs, 7, 0))
    const words = events.flatMap((event, n) => listed({ n, t: 0, ...event }, 0)).map((line) => line.replace(/^\S+ +/, ""))
    assert.deepEqual(words, [
      String.raw`#0 7 remove "a\n#9 forged\e[2J"`,
      String.raw`#1 7 mkdir "f\xff"`,
      `#2 7 rename "from" → "to"`,
      `#3 7 symlink "link" → "points at"`,
      `#4 7 set "f": mode 644`,
      `#5 7 new-thing@example.com`,
      "#0 → ok, SFTP status 0",
      "#1 → error, SFTP status 4",
      "#2 → ok, SFTP status 0",
      "#3 → ok, SFTP status 0",
      "#4 → ok, SFTP status 0",
      "#5 → ok, SFTP status 0",
    ])
  })
})

test("sftp: what a new file is to be beyond its usual permissions is on record, as if it were set behind that", () => {
  const { up, events } = rig()
  const permissions = (mode: number): readonly Field[] => [4, mode]
  up(
    sftpPacket(sftpType.open, 1, "/f", 0x1a, ...permissions(0o100_644)),
    sftpPacket(sftpType.open, 2, "/root-shell", 0x1a, ...permissions(0o104_755)),
    sftpPacket(sftpType.mkdir, 3, "/d", ...permissions(0o40_777)),
    sftpPacket(sftpType.mkdir, 4, "/e", 6, 0, 0, 0o42_777),
  )
  const words = events.flatMap((event, n) => listed({ n, t: 0, ...event }, 0)).map((line) => line.replace(/^\S+ +/, ""))
  assert.deepEqual(words, [
    `#0 7 open "/f" (write, create, truncate)`,
    `#1 7 open "/root-shell" (write, create, truncate): mode 4755`,
    `#2 7 mkdir "/d"`,
    `#3 7 mkdir "/e": mode 2777, uid 0, gid 0`,
  ])
})

suite("sftp: to read only", () => {
  for (const [name, packet] of [
    ["opening to write", open(9, "/f", 2)],
    ["opening to create", open(9, "/f", 9)],
    ["removing", sftpPacket(sftpType.remove, 9, "/f")],
    ["renaming", sftpPacket(sftpType.rename, 9, "/f", "/g")],
    ["renaming as OpenSSH does", sftpPacket(sftpType.extended, 9, "posix-rename@openssh.com", "/f", "/g")],
    ["changing attributes", sftpPacket(sftpType.setstat, 9, "/f", 0)],
    ["writing to what was opened to read", write(9, 0, Buffer.from("x"))],
    ["changing what was opened to read", sftpPacket(sftpType.fsetstat, 9, "h", 0)],
    ["an extension nobody knows", sftpPacket(sftpType.extended, 9, "new-thing@example.com")],
  ] as const) {
    test(`${name} is denied, on record, and does not reach the target`, () => {
      const { up, down, answers, of } = rig("read")
      assert.equal(up(open(1, "/f")).length, open(1, "/f").length)
      down(given(1))
      assert.equal(up(packet).length, 0)
      assert.deepEqual(answers, [sftpPacket(sftpType.status, 9, 3, "sluice: this target may only be read by SFTP", "")])
      assert.equal(of("action").at(-1)?.verdict, "deny")
    })
  }

  test("a denial comes behind the answers to what was asked before it", () => {
    const { up, down, answers } = rig("read")
    up(sftpPacket(sftpType.stat, 1, "a"), sftpPacket(sftpType.stat, 2, "b"), sftpPacket(sftpType.remove, 3, "c"))
    assert.deepEqual(answers, [])
    assert.deepEqual(down(ok(1)), ok(1))
    assert.deepEqual(
      down(ok(2)),
      Buffer.concat([ok(2), sftpPacket(sftpType.status, 3, 3, "sluice: this target may only be read by SFTP", "")]),
    )
  })
})

suite("sftp: not followed", () => {
  const broken = { code: "protocol_broken", message: /^SFTP was not followed: / }

  for (const [name, packet] of [
    ["a packet that is too large", pack(limits.sftp_packet_bytes_max + 1)],
    ["an empty packet", pack(0)],
    ["a packet that is shorter than it says", sftpPacket(sftpType.remove, 1)],
    ["a request that there is not", sftpPacket(99, 1)],
    ["more to write than there is", sftpPacket(sftpType.write, 1, "h", offset(0), 100)],
    ["a name without end", sftpPacket(sftpType.remove, 1, "x".repeat(limits.sftp_path_bytes_max + 1))],
    ["one number for two requests", Buffer.concat([sftpPacket(sftpType.stat, 1, "a"), sftpPacket(sftpType.stat, 1, "b")])],
  ] as const) {
    test(`${name} is refused`, () => assert.throws(() => rig().up(packet), broken))
  }

  for (const [name, packet] of [
    ["an answer to nothing", ok(5)],
    ["contents that nobody asked for", sftpPacket(sftpType.data, 1, "secret")],
    ["a handle for a question", given(1)],
    ["words of a login script", Buffer.from("Welcome to this host")],
  ] as const) {
    test(`from the target: ${name}`, () => {
      const { up, down } = rig()
      up(sftpPacket(sftpType.stat, 1, "a"))
      assert.throws(() => down(packet), broken)
    })
  }

  test("it begins with its version, on both sides", () => {
    assert.throws(() => rig("all", false).up(open(1, "/f")), broken)
    assert.throws(() => rig("all", false).down(sftpPacket(sftpType.version, 3)), broken)
  })

  test("a handle that the target did not give reaches nobody", () => {
    const { up, answers } = rig()
    assert.equal(up(write(1, 0, Buffer.from("x")), read(2, 0, 1), sftpPacket(sftpType.close, 3, "h")).length, 0)
    assert.equal(answers.length, 3)
  })

  test("requests that are never answered are bounded", () => {
    const { up } = rig()
    assert.throws(() => {
      for (let id = 0; ; id++) up(sftpPacket(sftpType.stat, id, "x".repeat(4_000)))
    }, broken)
  })

  test("odd bytes end in an error of ours or pass as they came, never in anything else", () => {
    for (let run = 0; run < 2_000; run++) {
      const { relay } = rig()
      const packet = sftpPacket(1 + Math.floor(Math.random() * 210), 1, randomBytes(Math.floor(Math.random() * 40)))
      if (run % 2 === 0) packet[4 + Math.floor(Math.random() * (packet.length - 4))]! ^= 1 << Math.floor(Math.random() * 8)
      try {
        relay.fromClient(packet)
      } catch (failure) {
        assert.equal((failure as { code?: string }).code, "protocol_broken")
      }
    }
  })
})
