// PostgreSQL's messages as bytes: the few that Sluice itself says, and the fields of the few that it reads. Pure functions;
// nothing here knows a connection. Source: the PostgreSQL documentation, "Message Formats" (protocols 3.0 and 3.2).
import { isUtf8 } from "node:buffer"
import { GatewayError } from "../../src/core/errors.ts"

export const protocol_3_0 = 196_608
export const protocol_3_2 = 196_610

/** Codes that stand where a protocol version would, in the packets that open a connection. */
export const code_cancel = 80_877_102
export const code_ssl = 80_877_103
export const code_gss = 80_877_104

/** No bytes: one object for all. */
export const nothing: Buffer = Buffer.alloc(0)

/** A message's type byte, by the letter the documentation gives it. */
export const byteOf = (letter: string): number => letter.charCodeAt(0)

/** A name from the wire, one character a byte, for the record. */
export const printable = (name: string): string => Buffer.from(name, "latin1").toString()

/** One message: type, length (itself included, the type not), body. */
export function message(letter: string, ...body: readonly (Buffer | string)[]): Buffer {
  const parts = body.map((part) => (typeof part === "string" ? Buffer.from(`${part}\0`) : part))
  return frame(Buffer.from(letter, "latin1"), parts)
}

/** A packet without a type byte, as the first one of a connection. */
export function untyped(...parts: readonly Buffer[]): Buffer {
  return frame(nothing, parts)
}

function frame(type: Buffer, parts: readonly Buffer[]): Buffer {
  const length = parts.reduce((total, part) => total + part.length, 4)
  return Buffer.concat([type, int32(length), ...parts])
}

export function int32(value: number): Buffer {
  const bytes = Buffer.allocUnsafe(4)
  bytes.writeInt32BE(value)
  return bytes
}

export const authenticationOk = (): Buffer => message("R", int32(0))
export const authenticationCleartextPassword = (): Buffer => message("R", int32(3))
export const sslRequest = (): Buffer => untyped(int32(code_ssl))
export const sync = (): Buffer => message("S")

/** The newest version we speak of what was asked for, and the options of `_pq_.` we do not know. */
export function negotiateProtocolVersion(version: number, unknown: readonly string[]): Buffer {
  return message("v", int32(version), int32(unknown.length), ...unknown)
}

export interface BackendKey {
  readonly pid: number
  /** 4 bytes on protocol 3.0, 4 to 256 on 3.2. */
  readonly secret: Buffer
}

export const backendKeyData = (key: BackendKey): Buffer => message("K", int32(key.pid), key.secret)
export const cancelRequest = (key: BackendKey): Buffer => untyped(int32(code_cancel), int32(key.pid), key.secret)

export function startupMessage(version: number, parameters: Iterable<readonly [string, string]>): Buffer {
  const fields = [...parameters].flat().map((text) => Buffer.from(`${text}\0`))
  return untyped(int32(version), ...fields, Buffer.alloc(1))
}

export interface Report {
  readonly severity: "FATAL" | "ERROR" | "NOTICE"
  readonly sqlstate: string
  readonly message: string
}

/** ErrorResponse, or NoticeResponse when that is its severity. */
export function report({ severity, sqlstate, message: words }: Report): Buffer {
  const fields = [`S${severity}`, `V${severity}`, `C${sqlstate}`, `M${words}`, ""]
  return message(severity === "NOTICE" ? "N" : "E", ...fields)
}

/** The fields of an ErrorResponse or NoticeResponse by their letter; what was cut short is left out. */
export function reportFields(body: Buffer): Map<string, string> {
  const fields = new Map<string, string>()
  for (let at = 0; at < body.length && body[at] !== 0;) {
    const end = body.indexOf(0, at)
    if (end < 0) break
    fields.set(body.toString("latin1", at, at + 1), body.toString("utf8", at + 1, end))
    at = end + 1
  }
  return fields
}

/** Text as the client wrote it. Another encoding than UTF-8 is kept byte for byte as Latin-1, so that nothing is lost. */
export function text(bytes: Buffer, start: number, end: number): string {
  const words = bytes.toString("utf8", start, end)
  return words.includes("\uFFFD") && !isUtf8(bytes.subarray(start, end)) ? bytes.toString("latin1", start, end) : words
}

/** Where to cut before `end` so that no UTF-8 character is cut in two. */
export function cutAt(bytes: Buffer, start: number, end: number): number {
  for (let back = 1; back <= 4 && end - back >= start; back++) {
    const byte = bytes[end - back] as number
    if ((byte & 0xc0) === 0x80) continue
    const length = byte < 0xc0 ? 1 : byte < 0xe0 ? 2 : byte < 0xf0 ? 3 : 4
    return length > back ? end - back : end
  }
  return end
}

/** Where the NUL-terminated string at `start` ends, before `end`. Throws `protocol_broken` without one. */
export function endOfString(bytes: Buffer, start: number, end: number): number {
  const nul = bytes.indexOf(0, start)
  if (nul < 0 || nul >= end) throw new GatewayError("protocol_broken", {}, new Error("a string without its end"))
  return nul
}
