// One SFTP channel between a client and a target: every request is on record before it passes, every answer is matched with its
// request, and the bytes of each file are counted and digested. What may not be done is answered here and never reaches the target.
// A side that does not follow the protocol ends the channel: nothing passes that was not understood.
import { createHash, type Hash } from "node:crypto"
import type { Action, FileName, FileOperation } from "../../src/core/action.ts"
import { limits } from "../../src/core/limits.ts"
import type { Decided, Session, Waiting } from "../../src/gateway/contract.ts"
import { Reader } from "./codec.ts"
import { type SftpPacket, SftpFramer, sftpBroken, sftpPacket, sftpStatus, sftpType } from "./sftp_packet.ts"
import { readHandle, readRequest, readVersion, type SftpRequest } from "./sftp_request.ts"

const version = 3 // what OpenSSH speaks; later drafts have other fields
const pending_overhead_bytes = 64 // what remembering one request costs besides its own bytes
const answer_head_bytes = 13 // length, type, id and the first field

export interface SftpRelayOptions {
  readonly session: Pick<Session, "covers" | "decidePart" | "outcome" | "recorder">
  readonly channel: number
  readonly access: "all" | "read"
  /** Whether the SHA-256 of what passes through each file is on record. */
  readonly digests: boolean
  /** Answers the client in the target's place, between two of its answers. */
  answer(packet: Buffer): void
  /** What cannot be read yet, to be given again when `readOn` says so. */
  keep(unread: Buffer): void
  readOn(): void
  /** Beside the protocol, where its user may see it. */
  say(words: string): void
}

interface OpenFile {
  readonly path: FileName
  readonly action: number
  readonly directory: boolean
  readonly up: Contents
  readonly down: Contents
}

type Pending = (
  | { readonly kind: "open"; readonly path: FileName; readonly action: number; readonly directory: boolean }
  | { readonly kind: "close"; readonly file: OpenFile }
  | { readonly kind: "read"; readonly file: OpenFile; readonly offset: number }
  | { readonly kind: "write"; readonly file: OpenFile }
  | { readonly kind: "change"; readonly action: number }
  | { readonly kind: "lookup" }
) & { readonly cost: number; refusals?: Buffer[] }

/** `Omit` that keeps a union a union. */
type Without<T, Key extends PropertyKey> = T extends unknown ? Omit<T, Key> : never

export class SftpRelay {
  /** How often the client only looked: stat, realpath and the like. */
  lookups = 0
  /** Bytes of the client's that are seen twice, because they waited. */
  kept = 0
  readonly #options: SftpRelayOptions
  readonly #up = new SftpFramer()
  readonly #down = new SftpFramer()
  readonly #pending = new Map<number, Pending>()
  #pendingBytes = 0
  #last: Pending | undefined
  readonly #files = new Map<string, OpenFile>()
  #asked = false
  #greeted = false
  /** The client's next request waits for a decision. */
  #waiting: Waiting | undefined
  #decided: Decided | undefined

  constructor(options: SftpRelayOptions) {
    this.#options = options
  }

  /** What of a client's chunk may pass. Throws `protocol_broken`. */
  readonly fromClient = (chunk: Buffer): readonly Buffer[] => {
    const parts = this.#up.pass(chunk, (packet) => this.#request(packet))
    const unread = this.#up.takeUnread()
    if (unread) {
      this.kept += unread.length
      this.#options.keep(unread)
    }
    return parts
  }

  /** What of a target's chunk may pass. Throws `protocol_broken`. */
  readonly fromTarget = (chunk: Buffer): readonly Buffer[] => this.#down.pass(chunk, (packet) => this.#answered(packet))

  /** The channel is over: what was left open is told. */
  end(): void {
    this.withdraw()
    for (const file of this.#files.values()) this.#transferred(file, false)
    this.#files.clear()
  }

  /** The client has left, or would rather not: what waits never happens. */
  withdraw(): void {
    this.#waiting?.withdraw()
  }

  #request(packet: SftpPacket): true | "wait" | readonly Buffer[] {
    if (this.#waiting) return "wait"
    if (!this.#asked) {
      const offered = readVersion(packet, sftpType.init)
      this.#asked = true
      // A client names the highest version it knows; the gateway knows no higher one than this.
      return offered > version ? [sftpPacket(sftpType.init, version)] : true
    }
    const request = readRequest(packet)
    if (this.#pending.has(request.id)) throw sftpBroken("two requests have the same number")
    const pending = this.#admit(request, packet)
    if (this.#waiting) return "wait"
    if (!pending) return []
    const cost = pending_overhead_bytes + (request.kind === "write" ? 0 : packet.bytes)
    this.#charge(cost)
    this.#last = { ...pending, cost }
    this.#pending.set(request.id, this.#last)
    return true
  }

  /** Puts it on record; undefined when it may not pass and was answered. */
  #admit(request: SftpRequest, packet: SftpPacket): Without<Pending, "cost" | "refusals"> | undefined {
    switch (request.kind) {
      case "open": {
        const { operation, writes } = request
        const action = this.#record(request.id, operation, writes)
        return action === undefined ? undefined : { kind: "open", path: operation.path, action, directory: operation.op === "list" }
      }
      case "close": {
        const file = this.#file(request.id, request.handle)
        this.#files.delete(request.handle)
        return file && { kind: "close", file }
      }
      case "read": {
        const file = this.#file(request.id, request.handle)
        return file && { kind: "read", file, offset: request.offset }
      }
      case "write": {
        const file = this.#file(request.id, request.handle)
        if (!file) return undefined
        if (this.#options.access === "read")
          return this.#record(request.id, { op: "other", name: "write", path: file.path }, true) as undefined
        file.up.add(request.offset, packet.from(request.data_at), request.bytes)
        return { kind: "write", file }
      }
      case "lookup":
        if (request.handle !== undefined && !this.#file(request.id, request.handle)) return undefined
        this.lookups++
        return { kind: "lookup" }
      case "change":
      case "change_open":
      case "copy":
        return this.#change(request)
    }
  }

  #change(request: Extract<SftpRequest, { kind: "change" | "change_open" | "copy" }>): Without<Pending, "cost" | "refusals"> | undefined {
    let operation: FileOperation
    if (request.kind === "change") operation = request.operation
    else {
      const file = this.#file(request.id, request.kind === "copy" ? request.from : request.handle)
      if (!file) return undefined
      if (request.kind === "change_open") operation = { op: "setattr", path: file.path, set: request.set }
      else {
        const to = this.#file(request.id, request.to)
        if (!to) return undefined
        to.up.spoil() // the target fills it by itself
        operation = { op: "copy", path: file.path, to: to.path }
      }
    }
    const action = this.#record(request.id, operation, true)
    return action === undefined ? undefined : { kind: "change", action }
  }

  #record(id: number, operation: FileOperation, writes: boolean): number | undefined {
    const { session, channel, access } = this.#options
    const action = { kind: "ssh.file", channel, ...operation } as const
    if (writes && access === "read") {
      session.recorder.write({ kind: "action", verdict: "deny", action })
      this.#refuse(id, sftpStatus.permission_denied, "this target may only be read by SFTP")
      return undefined
    }
    if (!session.covers(action)) {
      session.recorder.write({ kind: "action", verdict: "deny", action })
      this.#refuse(id, sftpStatus.permission_denied, "your access does not cover this")
      return undefined
    }
    // Covered by the decision about the channel, the uses of a grant too; at an end the pump lets nothing more come here.
    const decided = this.#decide(action)
    if (!decided) return undefined
    if (decided.verdict === "allow") return decided.action
    const { code, kind, message } = decided.error
    if (code === "recorder_failed") this.#refuse(id, sftpStatus.failure, "this cannot be recorded")
    else this.#refuse(id, kind === "access" ? sftpStatus.permission_denied : sftpStatus.failure, message)
    return undefined
  }

  /** Undefined: it waits, and the same request is read again once it is decided about. */
  #decide(action: Action): Decided | undefined {
    const made = this.#decided
    this.#decided = undefined
    const decision = made ?? this.#options.session.decidePart(action)
    if (decision.verdict !== "hold") return decision
    this.#waiting = decision
    void decision.asked.then((asked) => asked && this.#options.say(asked.say))
    void decision.decided.then((decided) => {
      this.#waiting = undefined
      this.#decided = decided
      // Few clients show the words of a status.
      if (decided.verdict === "deny") this.#options.say(decided.error.say)
      this.#options.readOn()
    })
    return undefined
  }

  /** What a handle stands for; one that the target did not give is answered here. */
  #file(id: number, handle: string): OpenFile | undefined {
    const file = this.#files.get(handle)
    if (!file) this.#refuse(id, sftpStatus.failure, "no such file is open")
    return file
  }

  /** Behind the answers to what was asked before, as a target would; at once when nothing is. */
  #refuse(id: number, status: number, words: string): void {
    const packet = sftpPacket(sftpType.status, id, status, `sluice: ${words}`, "")
    const last = this.#last
    if (!last) return this.#options.answer(packet)
    this.#charge(packet.length)
    ;(last.refusals ??= []).push(packet)
  }

  #charge(bytes: number): void {
    this.#pendingBytes += bytes
    if (this.#pendingBytes > limits.sftp_pending_bytes_max) throw sftpBroken("too many requests wait for an answer")
  }

  #answered(packet: SftpPacket): true | readonly Buffer[] {
    if (!this.#greeted) {
      if (!this.#asked || readVersion(packet, sftpType.version) !== version) throw sftpBroken("the target does not speak version 3")
      this.#greeted = true
      return true
    }
    if (packet.bytes < answer_head_bytes) throw sftpBroken("an answer that is too short")
    const head = packet.head(answer_head_bytes)
    const id = head.readUInt32BE(5)
    const pending = this.#pending.get(id)
    if (!pending) throw sftpBroken("the target answered what was not asked")
    this.#settle(pending, head[4]!, packet)
    this.#pending.delete(id)
    this.#pendingBytes -= pending.cost
    if (this.#last === pending) this.#last = undefined
    const { refusals } = pending
    if (!refusals) return true
    for (const refusal of refusals) this.#pendingBytes -= refusal.length
    return [...packet.pieces, ...refusals]
  }

  #settle(pending: Pending, type: number, packet: SftpPacket): void {
    const status = type === sftpType.status ? packet.head(answer_head_bytes).readUInt32BE(9) : undefined
    switch (pending.kind) {
      case "open":
        if (type === sftpType.handle) return this.#opened(pending, new Reader(packet.whole(), 9))
        if (status === undefined || status === sftpStatus.ok) break
        return this.#outcome(pending.action, status)
      case "read":
        if (type === sftpType.data) {
          const bytes = packet.head(answer_head_bytes).readUInt32BE(9)
          if (answer_head_bytes + bytes !== packet.bytes) break
          return pending.file.down.add(pending.offset, packet.from(answer_head_bytes), bytes)
        }
        if (status === undefined) break
        return
      case "write":
        if (status === undefined) break
        if (status !== sftpStatus.ok) pending.file.up.spoil()
        return
      case "close":
        if (status === undefined) break
        return this.#transferred(pending.file, true)
      case "change":
        if (status === undefined && type !== sftpType.extended_reply) break
        return this.#outcome(pending.action, status ?? sftpStatus.ok)
      case "lookup":
        if (status === undefined && !lookupAnswers.has(type)) break
        return
    }
    throw sftpBroken("the target answered something else than was asked")
  }

  #opened({ path, action, directory }: Extract<Pending, { kind: "open" }>, reader: Reader): void {
    if (this.#files.size >= limits.sftp_handles_max) throw sftpBroken("too many files are open")
    const handle = readHandle(reader)
    const { digests } = this.#options
    if (this.#files.has(handle)) throw sftpBroken("the target gave one handle twice")
    this.#files.set(handle, { path, action, directory, up: new Contents(digests), down: new Contents(digests) })
    this.#outcome(action, sftpStatus.ok)
  }

  #outcome(action: number, sftp_status: number): void {
    this.#options.session.outcome({ action, status: sftp_status === sftpStatus.ok ? "ok" : "error", sftp_status })
  }

  #transferred({ action, directory, up, down }: OpenFile, closed: boolean): void {
    if (directory) return
    const { session, channel } = this.#options
    const digests = { ...digest("sha256_up", up), ...digest("sha256_down", down) }
    session.recorder.note({ kind: "transfer", channel, action, closed, bytes_up: up.bytes, bytes_down: down.bytes, ...digests })
  }
}

const lookupAnswers: ReadonlySet<number> = new Set([sftpType.name, sftpType.attrs, sftpType.extended_reply])

/** The bytes of one file that went one way. */
class Contents {
  bytes = 0
  #next = 0
  #hash: Hash | undefined
  #spoiled: boolean

  constructor(digested: boolean) {
    this.#spoiled = !digested
  }

  add(offset: number, pieces: readonly Buffer[], bytes: number): void {
    this.bytes += bytes
    if (offset !== this.#next) this.spoil()
    this.#next += bytes
    if (this.#spoiled) return
    this.#hash ??= createHash("sha256")
    let left = bytes
    for (const piece of pieces) {
      this.#hash.update(piece.length > left ? piece.subarray(0, left) : piece)
      left -= Math.min(left, piece.length)
    }
  }

  /** Not what the file holds any more: out of order, or not written. */
  spoil(): void {
    this.#spoiled = true
    this.#hash = undefined
  }

  sha256(): string | undefined {
    return this.#hash?.digest("hex")
  }
}

function digest(name: "sha256_up" | "sha256_down", contents: Contents): { readonly sha256_up?: string; readonly sha256_down?: string } {
  const sha256 = contents.sha256()
  return sha256 === undefined ? {} : { [name]: sha256 }
}
