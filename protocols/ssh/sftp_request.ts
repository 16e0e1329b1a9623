// What a client asks for in SFTP, version 3 (draft-ietf-secsh-filexfer-02, section 6; openssh-portable, PROTOCOL, section 4): one packet
// to one value. It knows nothing of what was asked before. A packet that is shorter than it says is `protocol_broken`.
import { isUtf8 } from "node:buffer"
import type { FileAttributes, FileName, FileOperation, OpenFlag } from "../../src/core/action.ts"
import { GatewayError } from "../../src/core/errors.ts"
import { limits } from "../../src/core/limits.ts"
import { Reader } from "./codec.ts"
import { recordable } from "./environment.ts"
import { sftpBroken, type SftpPacket, sftpType } from "./sftp_packet.ts"

const header_bytes = 9 // length, type, id
const handle_bytes_max = 256 // section 6.3
/** Of a WRITE, up to its data. */
const write_head_bytes_max = header_bytes + 4 + handle_bytes_max + 8 + 4

type Asked =
  | { readonly kind: "open"; readonly operation: Extract<FileOperation, { op: "open" | "list" }>; readonly writes: boolean }
  | { readonly kind: "close"; readonly handle: string }
  | { readonly kind: "read"; readonly handle: string; readonly offset: number }
  /** `data_at`: where in the packet its bytes begin. */
  | { readonly kind: "write"; readonly handle: string; readonly offset: number; readonly data_at: number; readonly bytes: number }
  /** Changes nothing, and of contents it tells no more than names and attributes. */
  | { readonly kind: "lookup"; readonly handle?: string }
  | { readonly kind: "change"; readonly operation: FileOperation }
  | { readonly kind: "change_open"; readonly handle: string; readonly set: FileAttributes }
  | { readonly kind: "copy"; readonly from: string; readonly to: string }

export type SftpRequest = Asked & { readonly id: number }

/** The number that `sftp` and its server begin with; throws when it is anything else. */
export function readVersion(packet: SftpPacket, type: number): number {
  const bytes = packet.whole()
  if (bytes[4] !== type) throw sftpBroken("it did not begin with a version")
  return shortOnly(() => new Reader(bytes, 5).uint32())
}

/** One request. Throws `protocol_broken`, also for a kind that there is not. */
export function readRequest(packet: SftpPacket): SftpRequest {
  return shortOnly(() => {
    const type = packet.head(header_bytes)[4]!
    const bytes = type === sftpType.write ? packet.head(write_head_bytes_max) : packet.whole()
    const reader = new Reader(bytes, 5)
    const id = reader.uint32()
    const asked = type === sftpType.write ? readWrite(reader, packet.bytes) : readAsked(type, reader)
    return { id, ...asked }
  })
}

function readAsked(type: number, reader: Reader): Asked {
  switch (type) {
    case sftpType.open: {
      const path = readName(reader)
      const flags = readFlags(reader.uint32())
      const operation = { op: "open", path, flags, ...readUnusual(reader) } as const
      return { kind: "open", operation, writes: flags.some((flag) => flag !== "read") }
    }
    case sftpType.opendir:
      return { kind: "open", operation: { op: "list", path: readName(reader) }, writes: false }
    case sftpType.close:
      return { kind: "close", handle: readHandle(reader) }
    case sftpType.read:
      return { kind: "read", handle: readHandle(reader), offset: readOffset(reader) }
    case sftpType.fstat:
    case sftpType.readdir:
      return { kind: "lookup", handle: readHandle(reader) }
    case sftpType.lstat:
    case sftpType.stat:
    case sftpType.realpath:
    case sftpType.readlink:
      return { kind: "lookup" }
    case sftpType.remove:
      return { kind: "change", operation: { op: "remove", path: readName(reader) } }
    case sftpType.rmdir:
      return { kind: "change", operation: { op: "rmdir", path: readName(reader) } }
    case sftpType.mkdir:
      return { kind: "change", operation: { op: "mkdir", path: readName(reader), ...readUnusual(reader) } }
    case sftpType.rename:
      return { kind: "change", operation: { op: "rename", path: readName(reader), to: readName(reader) } }
    case sftpType.setstat:
      return { kind: "change", operation: { op: "setattr", path: readName(reader), set: readAttributes(reader) } }
    case sftpType.fsetstat:
      return { kind: "change_open", handle: readHandle(reader), set: readAttributes(reader) }
    case sftpType.symlink: {
      // As OpenSSH and all who talk to it have it, not as the draft: what the link points at comes first.
      const to = readName(reader)
      return { kind: "change", operation: { op: "symlink", path: readName(reader), to } }
    }
    case sftpType.extended:
      return readExtended(reader.text(), reader)
    default:
      throw sftpBroken(`a request of kind ${type}`)
  }
}

function readExtended(name: string, reader: Reader): Asked {
  switch (name) {
    case "posix-rename@openssh.com":
      return { kind: "change", operation: { op: "rename", path: readName(reader), to: readName(reader) } }
    case "hardlink@openssh.com":
      return { kind: "change", operation: { op: "hardlink", path: readName(reader), to: readName(reader) } }
    case "lsetstat@openssh.com":
      return { kind: "change", operation: { op: "setattr", path: readName(reader), set: readAttributes(reader) } }
    case "copy-data": {
      const from = readHandle(reader)
      readOffset(reader)
      readOffset(reader) // how much
      return { kind: "copy", from, to: readHandle(reader) }
    }
    case "fstatvfs@openssh.com":
    case "fsync@openssh.com":
      return { kind: "lookup", handle: readHandle(reader) }
    case "statvfs@openssh.com":
    case "limits@openssh.com":
    case "expand-path@openssh.com":
    case "home-directory":
    case "users-groups-by-id@openssh.com":
      return { kind: "lookup" }
    default:
      return { kind: "change", operation: { op: "other", name: recordable(name, /[^\w.@-]/g) } }
  }
}

function readWrite(reader: Reader, packet_bytes: number): Asked {
  const handle = readHandle(reader)
  const offset = readOffset(reader)
  const bytes = reader.uint32()
  const data_at = header_bytes + 4 + Buffer.byteLength(handle, "latin1") + 8 + 4
  if (data_at + bytes > packet_bytes) throw sftpBroken("more to write than there is")
  return { kind: "write", handle, offset, data_at, bytes }
}

function readName(reader: Reader): FileName {
  const bytes = reader.bytes()
  if (bytes.length > limits.sftp_path_bytes_max) throw sftpBroken(`a name of ${bytes.length} bytes`)
  return isUtf8(bytes) ? bytes.toString("utf8") : { base64: bytes.toString("base64") }
}

export function readHandle(reader: Reader): string {
  const bytes = reader.bytes()
  if (bytes.length > handle_bytes_max) throw sftpBroken("a handle that is too long")
  return bytes.toString("latin1")
}

/** Exact up to 2^53, which is further than files go. */
const readOffset = (reader: Reader): number => reader.uint32() * 2 ** 32 + reader.uint32()

const flags: readonly [number, OpenFlag][] = [
  [0x01, "read"],
  [0x02, "write"],
  [0x04, "append"],
  [0x08, "create"],
  [0x10, "truncate"],
  [0x20, "exclusive"],
]

function readFlags(bits: number): readonly OpenFlag[] {
  if (bits >>> 6 !== 0) throw sftpBroken("a way to open a file that there is not")
  return flags.flatMap(([bit, flag]) => (bits & bit ? [flag] : []))
}

/** Section 5. What a vendor adds behind them is not read. */
function readAttributes(reader: Reader): FileAttributes {
  const bits = reader.uint32()
  return {
    ...(bits & 1 ? { size: readOffset(reader) } : {}),
    ...(bits & 2 ? { uid: reader.uint32(), gid: reader.uint32() } : {}),
    ...(bits & 4 ? { mode: reader.uint32() & 0o7777 } : {}),
    ...(bits & 8 ? { atime: reader.uint32(), mtime: reader.uint32() } : {}),
  }
}

/** Of what a new file is to be: all but permissions of the usual kind, which every client sends, and times. */
function readUnusual(reader: Reader): { readonly set?: FileAttributes } {
  const { mode = 0, size, uid, gid } = readAttributes(reader)
  const set = {
    ...(mode > 0o777 ? { mode } : {}),
    ...(size === undefined ? {} : { size }),
    ...(uid === undefined || gid === undefined ? {} : { uid, gid }),
  }
  return Object.keys(set).length > 0 ? { set } : {}
}

/** A field beyond the packet's end, in SFTP's own words. */
function shortOnly<T>(read: () => T): T {
  try {
    return read()
  } catch (failure) {
    if (failure instanceof GatewayError && failure.facts.what !== undefined) throw failure
    throw sftpBroken("a packet that is shorter than it says")
  }
}
