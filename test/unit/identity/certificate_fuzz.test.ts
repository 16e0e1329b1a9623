// The reader of user certificates under bent input, by fixed seeds. What it takes it must have read as it is written: the fields, put
// together again as PROTOCOL.certkeys has them, are the bytes that came; so nothing can be said in two ways.
import assert from "node:assert/strict"
import { suite, test } from "node:test"
import { readCertificate, type SshCertificate } from "../../../src/identity/ssh_certificate.ts"
import { packWire } from "../../../src/identity/wire_writer.ts"
import { WireReader } from "../../../src/identity/wire_reader.ts"
import { Random } from "../../support/random.ts"
import { forger } from "../../support/ssh_certificates.ts"

const forge = forger()
const options = (...pairs: [string, string | Buffer][]): Buffer =>
  Buffer.concat(pairs.map(([name, data]) => packWire(Buffer.from(name, "latin1"), data)))
const full = forge.certificate({
  principals: packWire("alice", "deploy", "root"),
  valid_after: 1_000n,
  critical: options(["source-address", packWire("203.0.113.0/24")], ["verify-required", ""]),
  extensions: options(["permit-agent-forwarding", ""], ["permit-pty", ""]),
})

/** From the fields to bytes. What the reader leaves alone (the nonce, the extensions, the reserved field) is taken from `blob`. */
function written(certificate: SshCertificate, blob: Buffer): Buffer {
  const kept = new WireReader(blob)
  const type = kept.text() ?? ""
  const nonce = kept.bytes() ?? Buffer.alloc(0)
  const plain = new WireReader(certificate.key.blob)
  plain.bytes()
  const fields = certificate.key.blob.subarray(plain.position)
  const tail = new WireReader(blob.subarray(packWire(type, nonce).length + fields.length))
  for (const skip of [8, 4]) void (skip === 8 ? tail.uint64() : tail.uint32())
  tail.bytes() // key id
  tail.bytes() // principals
  tail.uint64()
  tail.uint64()
  tail.bytes() // critical
  const [extensions, reserved] = [tail.bytes() ?? Buffer.alloc(0), tail.bytes() ?? Buffer.alloc(0)]
  return Buffer.concat([
    packWire(type, nonce),
    fields,
    packWire(
      { uint64: certificate.serial },
      { uint32: certificate.kind },
      certificate.key_id,
      packWire(...certificate.principals),
      { uint64: certificate.valid_after },
      { uint64: certificate.valid_before },
      options(...certificate.critical),
      extensions,
      reserved,
      certificate.authority,
      certificate.signature,
    ),
  ])
}

/** Whether it was taken. Text that is no UTF-8 is not the same when it is written again, and nobody here is called so. */
function check(blob: Buffer, about: string): boolean {
  const certificate = readCertificate(blob)
  if (!certificate) return false
  assert.deepEqual(Buffer.concat([certificate.signed, packWire(certificate.signature)]), blob, `${about}: what was signed`)
  const strange = [certificate.key_id, ...certificate.principals].some((text) => text.includes("\ufffd"))
  if (!strange) assert.deepEqual(written(certificate, blob), blob, about)
  return true
}

/** Where lengths are: of each field, and of what is in the lists. */
function lengthsIn(blob: Buffer): number[] {
  const found: number[] = []
  for (let at = 0; at + 4 <= blob.length; at++) {
    const length = blob.readUInt32BE(at)
    if (length < 512 && at + 4 + length <= blob.length) found.push(at)
  }
  return found
}

suite("ssh certificates: bent input", () => {
  test("the whole one is read as it is written", () => assert.equal(check(full, "whole"), true))

  test("cut short anywhere, or with more behind it, it is none", () => {
    for (let length = 0; length < full.length; length++)
      assert.equal(readCertificate(full.subarray(0, length)), undefined, `${length} bytes`)
    for (const more of [1, 4, 100]) assert.equal(readCertificate(Buffer.concat([full, Buffer.alloc(more)])), undefined)
  })

  test("every byte changed in several ways: none, or read as it is written", () => {
    let taken = 0
    for (let at = 0; at < full.length; at++) {
      for (const change of [0x01, 0x80, 0xff, full[at]!]) {
        const bent = Buffer.from(full)
        bent[at]! ^= change
        if (check(bent, `byte ${at} with ${change}`)) taken++
      }
    }
    assert.ok(taken > 100, "the key, the signature and names can be other bytes, so this has seen both")
  })

  test("every length lies, by a little, by much, and by all there can be", () => {
    for (const at of lengthsIn(full)) {
      const said = full.readUInt32BE(at)
      for (const lie of [0, said - 1, said + 1, said + 4, full.length, 0x7fff_ffff, 0xffff_ffff]) {
        if (lie < 0) continue
        const bent = Buffer.from(full)
        bent.writeUInt32BE(lie, at)
        check(bent, `length ${said} at ${at} says ${lie}`)
      }
    }
  })

  test("pieces of certificates put together by chance", () => {
    const random = new Random(20_261_125)
    const others = [
      full,
      forge.certificate(),
      forge.certificate({ type: "ssh-rsa-cert-v01@openssh.com", fields: [Buffer.of(3), Buffer.alloc(300, 1)] }),
    ]
    for (let run = 0; run < 4_000; run++) {
      const one = random.pick(others)
      const other = random.pick(others)
      const [from, to] = [random.below(one.length), random.below(other.length)]
      const bent = random.chance(0.5)
        ? Buffer.concat([one.subarray(0, from), other.subarray(to)])
        : Buffer.concat([one.subarray(0, from), random.bytes(random.below(12)), one.subarray(from)])
      check(bent, `run ${run}`)
    }
  })
})
