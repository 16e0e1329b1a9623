import assert from "node:assert/strict"
import { describe, test } from "node:test"
import { LeaseBook } from "../../../src/gateway/lease_book.ts"
import { FakeClock } from "../../support/fake_clock.ts"

const minute = 60_000
const day = 24 * 60 * minute

function setUp() {
  const clock = new FakeClock()
  const book = new LeaseBook(clock)
  const open = (ends_in_ms: number) => {
    const heard = { ended: [] as number[], warned: [] as number[] }
    const lease = book.open({
      ends_at: clock.now() + ends_in_ms,
      onEnd: () => heard.ended.push(clock.now()),
      onWarning: (left_ms) => heard.warned.push(left_ms),
    })
    return { lease, heard, ends_at: clock.now() + ends_in_ms }
  }
  return { clock, book, open }
}

describe("the lease book", () => {
  test("ends a lease at its end, to the millisecond, and not before", () => {
    const { clock, open } = setUp()
    const { heard, ends_at } = open(90_500)
    clock.advance(90_499)
    assert.deepEqual(heard.ended, [])
    clock.advance(1)
    assert.deepEqual(heard.ended, [ends_at])
  })

  test("ends a thousand leases that end together in one look", () => {
    const { clock, book, open } = setUp()
    const all = Array.from({ length: 1000 }, () => open(minute))
    clock.advance(minute)
    assert(all.every(({ heard, ends_at }) => heard.ended[0] === ends_at))
    assert.equal(book.size, 0)
  })

  test("keeps a grant of 60 days, which setTimeout cannot count, for 60 days", () => {
    const { clock, open } = setUp()
    const { heard, ends_at } = open(60 * day)
    clock.advance(60 * day - 1)
    assert.deepEqual(heard.ended, [])
    clock.advance(1)
    assert.deepEqual(heard.ended, [ends_at])
  })

  test("sees within a tick that the clock has jumped past the end", () => {
    const { clock, open } = setUp()
    const { heard } = open(60 * minute)
    clock.advance(minute)
    clock.jump(2 * 60 * minute)
    clock.advance(1_000)
    assert.equal(heard.ended.length, 1)
  })

  test("warns five minutes and one minute before, once each", () => {
    const { clock, open } = setUp()
    const { heard } = open(10 * minute)
    clock.advance(10 * minute)
    assert.deepEqual(heard.warned, [5 * minute, minute])
  })

  test("does not warn of what was already past when the lease opened", () => {
    const { clock, open } = setUp()
    const { heard } = open(3 * minute)
    clock.advance(3 * minute)
    assert.deepEqual(heard.warned, [minute])
  })

  test("gives one warning, the true one, when a jump passes both", () => {
    const { clock, open } = setUp()
    const { heard } = open(10 * minute)
    clock.jump(9.5 * minute)
    clock.advance(1_000)
    assert.deepEqual(heard.warned, [29_000])
  })

  test("moves an end that was extended, and warns before the new one", () => {
    const { clock, open } = setUp()
    const { lease, heard, ends_at } = open(6 * minute)
    clock.advance(5.5 * minute)
    lease.renew(ends_at + 10 * minute)
    clock.advance(10 * minute)
    assert.deepEqual(heard.ended, [])
    clock.advance(minute)
    assert.deepEqual(heard.ended, [ends_at + 10 * minute])
    assert.deepEqual(heard.warned, [5 * minute, minute, 5 * minute, minute])
  })

  test("moves an end that came nearer", () => {
    const { clock, open } = setUp()
    const { lease, heard } = open(day)
    clock.advance(minute)
    lease.renew(clock.now() + 250)
    clock.advance(250)
    assert.equal(heard.ended.length, 1)
  })

  test("forgets a lease that was ended, and leaves no timer behind", () => {
    const { clock, book, open } = setUp()
    const { lease, heard } = open(minute)
    lease.end()
    lease.end()
    lease.renew(clock.now() + 1)
    clock.advance(2 * minute)
    assert.deepEqual(heard.ended, [])
    assert.equal(book.size, 0)
  })

  test("an end or a warning that throws keeps nobody else from ending, now or later", () => {
    const { clock, book, open } = setUp()
    const fail = (): never => {
      throw new Error("a mistake of ours")
    }
    book.open({ ends_at: clock.now() + 2 * minute, onEnd: fail, onWarning: fail })
    const together = open(2 * minute)
    const later = open(3 * minute)
    // One look warns, the next one ends; both tell of the mistake, after their work.
    assert.throws(() => clock.advance(minute), AggregateError)
    assert.throws(() => clock.advance(minute), AggregateError)
    assert.equal(together.heard.ended.length, 1)
    clock.advance(minute)
    assert.equal(later.heard.ended.length, 1)
    assert.equal(book.size, 0)
  })

  test("an end that is no time has come", () => {
    const { clock, book } = setUp()
    let ended = 0
    book.open({ ends_at: NaN, onEnd: () => ended++, onWarning: () => {} })
    clock.advance(1_000)
    assert.equal(ended, 1)
    assert.equal(book.size, 0)
  })
})
