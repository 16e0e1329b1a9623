// The values in a Bind or a FunctionCall, as they are recorded: wire format and type kept, text as text, binary in hex, NULL
// apart from "", each cut at its bound with its true size. What lies beyond the part of the message that was seen is counted.
// Source: "Message Formats" (Bind, FunctionCall).
import type { BoundValue } from "../../src/core/action.ts"
import { GatewayError } from "../../src/core/errors.ts"
import { limits } from "../../src/core/limits.ts"
import { binaryValueText } from "./binary_value.ts"
import { cutAt, text } from "./codec.ts"

export interface Values {
  readonly values: readonly BoundValue[]
  /** How many more there are. */
  readonly leftOut: number
  /** Memory that the values take. */
  readonly bytes: number
}

export interface ValueSource {
  readonly bytes: Buffer
  /** Where the number of format codes stands, and where the seen part of the message ends. */
  readonly start: number
  readonly end: number
  /** Whether the message goes on after `end`. */
  readonly partial: boolean
  readonly oids: readonly number[]
  /** Memory that may be spent on values. */
  readonly room: number
}

const value_bytes = 64 // an object takes, whatever is in it

/** Throws `protocol_broken` when the message does not hold what it says. */
export function readValues({ bytes, start, end, partial, oids, room }: ValueSource): Values {
  const short = (): Values => {
    if (!partial) throw new GatewayError("protocol_broken", {}, new Error("values beyond the end of their message"))
    return { values, leftOut: count - values.length, bytes: spent }
  }
  const values: BoundValue[] = []
  let spent = 0
  let count = 0
  if (start + 2 > end) return short()
  const formats = bytes.readUInt16BE(start)
  let at = start + 2 + 2 * formats
  if (at + 2 > end) return short()
  count = bytes.readUInt16BE(at)
  at += 2
  for (let nth = 0; nth < count; nth++) {
    if (at + 4 > end) return short()
    const length = bytes.readInt32BE(at)
    at += 4
    const oid = oids[nth] ?? 0
    if (length < 0) {
      values.push({ oid, format: "null", value: null })
      spent += value_bytes
      continue
    }
    const present = Math.min(length, end - at)
    if (present < length && !partial) return short()
    const code = formats === 0 ? 0 : bytes.readUInt16BE(start + 2 + 2 * (formats === 1 ? 0 : Math.min(nth, formats - 1)))
    const kept = Math.max(0, Math.min(present, limits.recorded_value_bytes_max, room - spent))
    const format = code === 1 ? "binary" : "text"
    const value =
      format === "binary" ? bytes.toString("hex", at, at + kept) : text(bytes, at, kept < length ? cutAt(bytes, at, at + kept) : at + kept)
    const words = format === "binary" && kept === length && length > 0 ? binaryValueText(oid, bytes.subarray(at, at + length)) : undefined
    values.push({ oid, format, value, ...(words === undefined ? {} : { text: words }), ...(kept < length ? { bytes: length } : {}) })
    spent += kept + (words?.length ?? 0) + value_bytes
    at += length
  }
  return { values, leftOut: 0, bytes: spent }
}
