import assert from "node:assert/strict"
import { test } from "node:test"
import { binaryValueText } from "../../../protocols/postgres/binary_value.ts"

const hex = (oid: number, bytes: string) => binaryValueText(oid, Buffer.from(bytes, "hex"))

test("binary values: what the server shows for the same bytes", () => {
  // As of SELECT encode(int8send(-2), 'hex') and the like.
  const shown: readonly (readonly [number, string, string])[] = [
    [16, "01", "t"],
    [16, "00", "f"],
    [20, "fffffffffffffffe", "-2"],
    [20, "8000000000000000", "-9223372036854775808"],
    [21, "7fff", "32767"],
    [23, "80000000", "-2147483648"],
    [26, "ffffffff", "4294967295"],
    [700, "3dcccccd", "0.1"],
    [700, "7fc00000", "NaN"],
    [701, "3fb999999999999a", "0.1"],
    [701, "fff0000000000000", "-Infinity"],
    [2950, "a0eebc999c0b4ef8bb6d6bb9bd380a11", "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"],
    [1082, "00000000", "2000-01-01"],
    [1082, "ffffffff", "1999-12-31"],
    [1082, "7fffffff", "infinity"],
    [1114, "0000000000000001", "2000-01-01 00:00:00.000001"],
    [1114, "ffffffffffffffff", "1999-12-31 23:59:59.999999"],
    [1184, "fffffffffff0bdc0", "1999-12-31 23:59:59+00"],
    [1184, "8000000000000000", "-infinity"],
    [25, "e29883", "☃"],
    [3802, "017b7d", "{}"],
  ]
  for (const [oid, bytes, text] of shown) assert.equal(hex(oid, bytes), text, `${oid} ${bytes}`)
})

test("binary values: bytes that are not of their type, dates no calendar has, and other types have no text", () => {
  const silent: readonly (readonly [number, string])[] = [
    [23, "0000"],
    [25, "e9"],
    [3802, "01e9"],
    [16, ""],
    [2950, "00"],
    [1082, "80000001"],
    [1114, "7ffffffffffffffe"],
    [3802, "027b7d"],
    [17, "00ff"],
    [0, "00000001"],
  ]
  for (const [oid, bytes] of silent) assert.equal(hex(oid, bytes), undefined, `${oid} ${bytes}`)
})
