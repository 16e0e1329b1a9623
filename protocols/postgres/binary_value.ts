// A bound value in binary format as text, for the types that drivers send so, nearly as PostgreSQL would show it. What does not have
// the shape of its type has no text; its bytes are on record all the same.
// Source: the `…_send` and `…_recv` functions of PostgreSQL's src/backend/utils/adt; pg_type.dat for the numbers.
import { isUtf8 } from "node:buffer"

/** By type OID. Undefined: these bytes are no such value. */
const readers: Readonly<Record<number, (bytes: Buffer) => string | undefined>> = {
  16: (bytes) => sized(bytes, 1, () => (bytes[0] === 0 ? "f" : "t")), // bool
  20: (bytes) => sized(bytes, 8, () => String(bytes.readBigInt64BE())), // int8
  21: (bytes) => sized(bytes, 2, () => String(bytes.readInt16BE())), // int2
  23: (bytes) => sized(bytes, 4, () => String(bytes.readInt32BE())), // int4
  26: (bytes) => sized(bytes, 4, () => String(bytes.readUInt32BE())), // oid
  700: (bytes) => sized(bytes, 4, () => shortest(bytes.readFloatBE())), // float4
  701: (bytes) => sized(bytes, 8, () => String(bytes.readDoubleBE())), // float8
  2950: (bytes) => sized(bytes, 16, () => bytes.toString("hex").replace(/^(.{8})(.{4})(.{4})(.{4})/, "$1-$2-$3-$4-")), // uuid
  1082: (bytes) => sized(bytes, 4, () => date(bytes.readInt32BE())),
  1114: (bytes) => sized(bytes, 8, () => timestamp(bytes.readBigInt64BE())),
  1184: (bytes) => sized(bytes, 8, () => timestamp(bytes.readBigInt64BE(), "+00")), // timestamptz, shown in UTC
  3802: (bytes) => (bytes[0] === 1 ? letters(bytes.subarray(1)) : undefined), // jsonb
}
for (const text of [19, 25, 114, 1042, 1043]) Object.assign(readers, { [text]: letters }) // name, text, json, bpchar, varchar

/** Undefined for a type that is not read here, and for bytes that are not of it. */
export function binaryValueText(oid: number, bytes: Buffer): string | undefined {
  return readers[oid]?.(bytes)
}

/** In another encoding two values would read the same. */
function letters(bytes: Buffer): string | undefined {
  return isUtf8(bytes) ? bytes.toString("utf8") : undefined
}

function sized(bytes: Buffer, size: number, read: () => string | undefined): string | undefined {
  return bytes.length === size ? read() : undefined
}

/** The shortest decimal that reads back as the same float4. */
function shortest(value: number): string {
  for (let digits = 6; digits <= 9; digits++) {
    const text = value.toPrecision(digits)
    if (Math.fround(Number(text)) === value) return String(Number(text))
  }
  return String(value)
}

const epoch_ms = Date.UTC(2000, 0, 1)
const day_ms = 86_400_000
/** Beyond it a Date cannot tell. */
const date_ms_max = 8.64e15

function date(days: number): string | undefined {
  if (days === 0x7fffffff) return "infinity"
  if (days === -0x80000000) return "-infinity"
  return calendar(epoch_ms + days * day_ms)?.slice(0, 10)
}

function timestamp(micros: bigint, zone = ""): string | undefined {
  if (micros === 0x7fffffffffffffffn) return "infinity"
  if (micros === -0x8000000000000000n) return "-infinity"
  const fraction = ((micros % 1_000_000n) + 1_000_000n) % 1_000_000n
  const seconds = (micros - fraction) / 1_000_000n
  const shown = calendar(epoch_ms + Number(seconds) * 1000)
  if (shown === undefined) return undefined
  const part = fraction === 0n ? "" : `.${String(fraction).padStart(6, "0").replace(/0+$/, "")}`
  return `${shown.slice(0, 19).replace("T", " ")}${part}${zone}`
}

/** Undefined before year 1 and after 9999, which ISO 8601 writes in another way than PostgreSQL. */
function calendar(ms: number): string | undefined {
  if (Math.abs(ms) > date_ms_max) return undefined
  const text = new Date(ms).toISOString()
  return /^\d{4}-/.test(text) && !text.startsWith("0000") ? text : undefined
}
