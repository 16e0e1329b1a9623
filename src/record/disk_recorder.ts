// The recorder of one session on one file. Every write is one write(2) of whole lines, done when `write` returns: what it answered
// true for survives the death of this process. (It does not sync: the death of the machine may cost the last seconds.) Owns the
// file from its first line to its last; where files lie is `places.ts`, what is left of a crash `recover.ts`.
import assert from "node:assert/strict"
import fs from "node:fs"
import { rename } from "node:fs/promises"
import { promisify } from "node:util"
import type { Clock, Millis } from "../core/clock.ts"
import { limits } from "../core/limits.ts"
import type { Log } from "../observe/log.ts"
import { metrics } from "../observe/metrics.ts"
import type { Event, SessionHeader } from "./events.ts"
import { closedPath, dayFolder, liveFolder, livePath } from "./places.ts"
import type { Recorder } from "./recorder.ts"

const fdatasync = promisify(fs.fdatasync)
const close = promisify(fs.close)

export interface RecorderOptions {
  /** The folder of recordings. */
  readonly dir: string
  readonly header: SessionHeader
  readonly clock: Clock
  /**
   * What a failure means. "cut": `write` answers false from then on, and `onFailure` is called once. "allow": it is logged, `write`
   * answers true, and the lines that are missing show as a gap in the numbers.
   */
  readonly mode: "cut" | "allow"
  onFailure(error: Error): void
  readonly log: Log
}

export interface DiskRecorder extends Recorder {
  /** Writes `end`, syncs the file and moves it to its day. Never rejects; a second call answers the first one's promise. */
  close(end: Extract<Event, { kind: "end" }>): Promise<void>
  /** Where the recording lies now. */
  readonly path: string
}

/** Throws when the recording cannot be started (in the mode "cut"). */
export function openRecorder(options: RecorderOptions): DiskRecorder {
  const recorder = new FileRecorder(options)
  recorder.open()
  return recorder
}

let madeDay = ""

class FileRecorder implements DiskRecorder {
  readonly #options: RecorderOptions
  readonly #began_at: Millis
  #path: string
  #fd: number | undefined
  #next = 0
  /** The number after the last one that is in the file. */
  #written = 0
  /** Bytes of whole lines in the file. */
  #size = 0
  /** When the file was last seen to be what was written. */
  #seen_at = -Infinity
  #failed = false
  /** Noted lines that wait to be written. */
  #noted = ""
  /** Whether a timer will flush them. */
  #timing = false
  #closed: Promise<void> | undefined

  constructor(options: RecorderOptions) {
    this.#options = options
    this.#began_at = options.clock.now()
    this.#path = livePath(options.dir, options.header.id)
  }

  get path(): string {
    return this.#path
  }

  get next(): number {
    return this.#next
  }

  open(): void {
    const { dir, header, mode } = this.#options
    // In the mode "cut" a recording that cannot begin is the caller's to answer for: nothing runs yet that must be cut.
    const failed = (failure: unknown): void => {
      if (mode === "cut") throw failure
      this.#fail(failure)
    }
    try {
      fs.mkdirSync(liveFolder(dir), { recursive: true, mode: 0o700 })
      const day = dayFolder(dir, this.#began_at)
      if (day !== madeDay) fs.mkdirSync(day, { recursive: true, mode: 0o700 })
      madeDay = day
      this.#fd = fs.openSync(this.#path, "ax", 0o600)
      this.#put(this.#line(header))
    } catch (failure) {
      if (this.#fd !== undefined && mode === "cut") this.#discard(this.#fd)
      failed(failure)
    }
  }

  write(event: Event): boolean {
    if (this.#closed) return false
    if (this.#failed && this.#options.mode === "cut") return false
    const lines = this.#noted + this.#line(event)
    this.#noted = ""
    return this.#tryPut(lines)
  }

  note(event: Event): void {
    if (this.#closed || (this.#failed && this.#options.mode === "cut")) return
    this.#noted += this.#line(event)
    if (this.#noted.length > limits.recorded_notes_chars_max) this.#flush()
    if (this.#noted === "" || this.#timing) return
    // One timer at a time, and not cancelled when a write comes first: it then finds nothing, or something newer.
    this.#timing = true
    this.#options.clock.after(limits.recorded_note_delay_ms, () => {
      this.#timing = false
      this.#flush()
    })
  }

  close(end: Extract<Event, { kind: "end" }>): Promise<void> {
    if (this.#closed) return this.#closed
    // A last try even after a failure: room may have been made, and a recording that says how it ended is worth it.
    const fd = this.#fd
    let written = false
    this.#seen_at = -Infinity
    try {
      this.#put(this.#noted + this.#line(end))
      written = true
    } catch (failure) {
      this.#fail(failure)
    }
    this.#noted = ""
    this.#closed = fd === undefined ? Promise.resolve() : this.#settle(fd, written)
    return this.#closed
  }

  async #settle(fd: number, written: boolean): Promise<void> {
    const { dir, header, log } = this.#options
    try {
      await fdatasync(fd)
      await close(fd)
      this.#fd = undefined
      // Without its last line it stays among the live, if it is still there: the next start finds it and ends it.
      if (!written) return
      const place = closedPath(dir, header.id, this.#began_at)
      await rename(this.#path, place)
      this.#path = place
    } catch (err) {
      log.error({ err, session: header.id }, "the recording could not be closed; the next start will close it")
    }
  }

  #flush(): void {
    if (this.#noted === "" || this.#closed) return
    const lines = this.#noted
    this.#noted = ""
    this.#tryPut(lines)
  }

  #line(event: Event): string {
    const rest = jsonOf(event)
    assert(rest.startsWith('{"'), "an event is an object")
    return `{"n":${this.#next++},"t":${this.#options.clock.now()},${rest.slice(1)}\n`
  }

  #tryPut(lines: string): boolean {
    try {
      this.#put(lines)
      return true
    } catch (failure) {
      this.#fail(failure)
      return this.#options.mode === "allow"
    }
  }

  #put(lines: string): void {
    if (this.#fd === undefined) throw new Error("the recording is not open")
    const start = performance.now()
    const bytes = Buffer.byteLength(lines)
    if (start - this.#seen_at >= limits.recorded_file_look_ms) {
      this.#look(this.#fd)
      this.#seen_at = start
    }
    try {
      const written = fs.writeSync(this.#fd, lines)
      if (written < bytes) writeRest(this.#fd, Buffer.from(lines), written)
    } catch (failure) {
      this.#tear(this.#fd)
      throw failure
    }
    this.#size += bytes
    this.#written = this.#next
    metrics.recorded(performance.now() - start)
  }

  /** Throws when somebody else has removed the file, or made it shorter or longer: what is written to it then is no recording. */
  #look(fd: number): void {
    const { nlink, size } = fs.fstatSync(fd)
    if (nlink === 0) throw new Error("the recording's file has been removed")
    const ours = this.#size
    if (size === ours) return
    // In the mode "allow" what follows is worth having all the same, and the file says that it is not whole.
    if (this.#options.mode === "allow") this.#size = size
    throw new Error(`the recording's file has ${size} bytes, and ${ours} were written to it`)
  }

  /** Takes back half a line. If that fails as well, the reader knows a torn line for what it is. */
  #tear(fd: number): void {
    try {
      fs.ftruncateSync(fd, this.#size)
    } catch {}
  }

  #discard(fd: number): void {
    fs.closeSync(fd)
    fs.rmSync(this.#path, { force: true })
  }

  #fail(failure: unknown): void {
    const { mode, log, header, onFailure } = this.#options
    // What was not written did not happen, so its number is free again; in the mode "allow" it happened, and leaves a gap.
    if (mode === "cut") this.#next = this.#written
    if (this.#failed) return
    this.#failed = true
    const error = failure instanceof Error ? failure : new Error(String(failure))
    if (mode === "cut") return onFailure(error)
    log.error({ err: error, session: header.id }, "the recording cannot be written, and the session goes on without (on_failure: allow)")
  }
}

/**
 * JSON that every parser takes. Half of a surrogate pair is escaped by JSON.stringify, and many then refuse the whole line
 * (RFC 8259, section 8.2); it becomes U+FFFD. Looking for the escape costs less than looking at each string.
 */
function jsonOf(event: Event): string {
  const json = JSON.stringify(event)
  if (!json.includes("\\ud")) return json
  return JSON.stringify(event, (_, value: unknown) => (typeof value === "string" ? value.toWellFormed() : value))
}

/** After a short write (a signal, a disk that fills up): the rest, or the error that stands in its way. */
function writeRest(fd: number, lines: Buffer, from: number): void {
  for (let written = from; written < lines.length;) {
    const more = fs.writeSync(fd, lines, written)
    if (more === 0) throw new Error("the disk takes no more bytes")
    written += more
  }
}
