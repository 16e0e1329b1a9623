// SFTP by chance, with fixed seeds: sides that follow the protocol see each other's bytes unchanged, however they are cut and mixed; of
// sides that do not, the channel ends with words of ours, and what passed before was whole packets that are on record.
import assert from "node:assert/strict"
import { suite, test } from "node:test"
import { SftpFramer, sftpPacket, sftpType } from "../../../protocols/ssh/sftp_packet.ts"
import { SftpRelay } from "../../../protocols/ssh/sftp_relay.ts"
import type { Action } from "../../../src/core/action.ts"
import { limits } from "../../../src/core/limits.ts"
import type { Decided } from "../../../src/gateway/contract.ts"
import type { Event } from "../../../src/record/events.ts"
import { Random } from "../../support/random.ts"

/** Nothing waits here. */
const unheld = { keep: () => assert.fail("nothing waits"), readOn: () => {}, say: () => {} }
const offset = (bytes: number) => ({ uint64: BigInt(bytes) })
const hello = sftpPacket(sftpType.init, 3)
const welcome = sftpPacket(sftpType.version, 3)

function relayWith(access: "all" | "read" = "all") {
  const events: Event[] = []
  const keep = (event: Event): boolean => events.push(event) > 0
  const recorder = {
    write: keep,
    note: keep,
    get next() {
      return events.length
    },
  }
  const decidePart = (action: Action): Decided => {
    keep({ kind: "action", verdict: "allow", action })
    return { verdict: "allow", action: events.length - 1 }
  }
  const session = {
    recorder,
    covers: () => true,
    decidePart,
    outcome: (outcome: object) => void keep({ kind: "outcome", ...outcome } as Event),
  }
  const answers: Buffer[] = []
  const relay = new SftpRelay({ session, channel: 1, access, digests: true, answer: (packet) => void answers.push(packet), ...unheld })
  return { relay, events, answers }
}

/** A client and a target that follow the protocol: what one asks and the other answers, in an order that can happen. */
class Conversation {
  readonly up: Buffer[] = [hello]
  readonly down: Buffer[] = [welcome]
  /** By position in `down`: how many packets the client has sent before the target can answer so. */
  readonly after: number[] = [1]
  /** By position in `up`: how many answers the client has before it can ask so. */
  readonly before: number[] = [0]
  readonly #random: Random
  #id = 0
  /** What the target gave, and the number of that answer. */
  readonly #handles: { readonly name: string; readonly given: number }[] = []
  #needs = 0

  constructor(random: Random, turns: number) {
    this.#random = random
    for (let turn = 0; turn < turns; turn++) this.#turn()
  }

  #ask(type: number, answer: (id: number) => Buffer, ...fields: Parameters<typeof sftpPacket>[1][]): void {
    const id = this.#id++
    this.up.push(sftpPacket(type, id, ...fields))
    this.before.push(this.#needs)
    this.down.push(answer(id))
    this.after.push(this.up.length)
  }

  #turn(): void {
    const random = this.#random
    const status = (id: number): Buffer => sftpPacket(sftpType.status, id, random.below(5), "words", "")
    const held = this.#handles.length > 0 ? random.pick(this.#handles) : undefined
    const handle = held?.name ?? ""
    this.#needs = held?.given ?? 1
    const path = `/${random.bytes(random.below(20)).toString("latin1")}`
    switch (random.below(held ? 8 : 3)) {
      case 0:
        return this.#ask(sftpType.stat, (id) => sftpPacket(sftpType.attrs, id, 0), path)
      case 1: {
        const given = `h${this.#id}`
        this.#ask(sftpType.open, (id) => sftpPacket(sftpType.handle, id, given), path, 3, 0)
        return void this.#handles.push({ name: given, given: this.down.length })
      }
      case 2:
        return this.#ask(random.pick([sftpType.remove, sftpType.mkdir, sftpType.rmdir]), status, path, 0)
      case 3:
        return this.#ask(sftpType.rename, status, path, "/b")
      case 4:
      case 5:
        return this.#ask(sftpType.write, status, handle, offset(random.below(5) * 10), random.bytes(random.below(300)))
      case 6: {
        const data = random.bytes(random.below(300))
        return this.#ask(sftpType.read, (id) => sftpPacket(sftpType.data, id, data), handle, offset(0), 300)
      }
      default:
        this.#handles.splice(this.#handles.indexOf(held!), 1)
        return this.#ask(sftpType.close, status, handle)
    }
  }
}

/** The whole packets that `bytes` begin with. */
function wholePackets(bytes: Buffer): number {
  let at = 0
  while (at + 4 <= bytes.length && at + 4 + bytes.readUInt32BE(at) <= bytes.length) at += 4 + bytes.readUInt32BE(at)
  return at
}

suite("sftp, by chance", () => {
  test("a framer passes the same bytes, cut at every place", () => {
    const stream = Buffer.concat([hello, sftpPacket(sftpType.stat, 1, "/a"), sftpPacket(sftpType.status, 1, 0, "", ""), welcome])
    for (let first = 0; first <= stream.length; first++) {
      for (const second of [first, first + 1, first + 4, stream.length]) {
        const framer = new SftpFramer()
        const passed: Buffer[] = []
        let seen = 0
        for (const piece of [stream.subarray(0, first), stream.subarray(first, second), stream.subarray(Math.max(first, second))])
          passed.push(...framer.pass(piece, (packet) => (assert.equal(packet.whole().length, packet.bytes), seen++, true)))
        assert.deepEqual([Buffer.concat(passed), seen], [stream, 4], `cut at ${first} and ${second}`)
      }
    }
  })

  test("conversations pass byte for byte, however they are cut and whoever speaks first", () => {
    const random = new Random(41)
    for (let run = 0; run < 150; run++) {
      const { up, down, after, before } = new Conversation(random, 40)
      const { relay, events, answers } = relayWith()
      const [upPassed, downPassed]: [Buffer[], Buffer[]] = [[], []]
      const [toSend, toAnswer] = [[...up], [...down]]
      let part = Buffer.alloc(0)
      const unsent = (): number => toSend.reduce((bytes, packet) => bytes + packet.length, part.length)
      const ends = up.map((_, index) => up.slice(index + 1).reduce((bytes, packet) => bytes + packet.length, 0))
      const answered = (): number => down.length - toAnswer.length
      while (toSend.length > 0 || part.length > 0 || toAnswer.length > 0) {
        const mayAnswer = toAnswer.length > 0 && unsent() <= ends[after[answered()]! - 1]!
        const mayAsk = part.length > 0 || (toSend.length > 0 && before[up.length - toSend.length]! <= answered())
        if (mayAnswer && (!mayAsk || random.chance(0.4))) {
          for (const piece of random.pieces(toAnswer.shift()!, 40)) downPassed.push(...relay.fromTarget(piece))
          continue
        }
        // Some of what is under way, and now and then several packets and the beginning of another in one piece.
        while (toSend.length > 0 && before[up.length - toSend.length]! <= answered() && (part.length === 0 || random.chance(0.3)))
          part = Buffer.concat([part, toSend.shift()!])
        const size = 1 + random.below(part.length)
        upPassed.push(...relay.fromClient(part.subarray(0, size)))
        part = part.subarray(size)
      }
      relay.end()
      assert.deepEqual(Buffer.concat(upPassed), Buffer.concat(up), `run ${run}`)
      assert.deepEqual(Buffer.concat(downPassed), Buffer.concat(down), `run ${run}`)
      assert.equal(answers.length, 0)
      const opened = up.filter((packet) => packet[4] === sftpType.open).length
      assert.equal(events.filter((event) => event.kind === "transfer").length, opened, `run ${run}: each file that was opened is told`)
    }
  })

  test("bent on either side: words of ours and whole packets, or the bytes as they came; never more on the wire than on record", () => {
    const random = new Random(43)
    const ends = { ours: 0, passed: 0 }
    for (let run = 0; run < 3_000; run++) {
      const { up, down } = new Conversation(random, 6)
      const bent = random.chance(0.5) ? up : down
      const at = random.below(bent.length)
      const packet = Buffer.from(bent[at]!)
      const place = random.below(packet.length)
      const how = random.below(4)
      if (how === 0) packet[place]! ^= 1 << random.below(8)
      else if (how === 1) packet.writeUInt32BE(random.pick([0, 1, packet.length, limits.sftp_packet_bytes_max + 1, 0xffff_ffff]), 0)
      else if (how === 2 && packet.length > 9)
        packet.writeUInt32BE(random.pick([0, 5, 257, 0x7fff_ffff, 0xffff_ffff]), Math.min(place, packet.length - 4))
      bent[at] = how === 3 ? packet.subarray(0, place) : packet
      const { relay, events, answers } = relayWith(random.pick(["all", "read"]))
      const upPassed: Buffer[] = []
      try {
        for (let turn = 0; turn < Math.max(up.length, down.length); turn++) {
          for (const piece of random.pieces(up[turn] ?? Buffer.alloc(0), 60)) upPassed.push(...relay.fromClient(piece))
          for (const piece of random.pieces(down[turn] ?? Buffer.alloc(0), 60)) relay.fromTarget(piece)
        }
        ends.passed++
      } catch (failure) {
        assert.equal((failure as { code?: string }).code, "protocol_broken", `run ${run}: ${String(failure)}`)
        ends.ours++
      }
      relay.end()
      const reached = Buffer.concat(upPassed)
      assert.equal(wholePackets(reached), reached.length, `run ${run}: the target never gets part of a packet`)
      const changes = new Set<number>([sftpType.open, sftpType.opendir, sftpType.remove, sftpType.mkdir, sftpType.rmdir, sftpType.rename])
      let asked = 0
      for (let from = 0; from < reached.length; from += 4 + reached.readUInt32BE(from)) if (changes.has(reached[from + 4]!)) asked++
      const allowed = events.filter((event) => event.kind === "action" && event.verdict === "allow").length
      assert.ok(asked <= allowed, `run ${run}: ${asked} reached the target, ${allowed} are on record`)
      for (const answer of answers) assert.equal(answer[4], sftpType.status)
    }
    assert.ok(ends.ours > 300 && ends.passed > 300, JSON.stringify(ends))
  })
})
