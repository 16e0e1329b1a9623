// A header and a recorder for the tests of recordings.
import { mkdirSync } from "node:fs"
import { join } from "node:path"
import { createLog } from "../../../src/observe/log.ts"
import type { Clock } from "../../../src/core/clock.ts"
import { newSessionId, type GrantId, type RequestId } from "../../../src/core/ids.ts"
import { openRecorder, type DiskRecorder } from "../../../src/record/disk_recorder.ts"
import { recording_version, type Line, type SessionHeader } from "../../../src/record/events.ts"
import { readRecording } from "../../../src/record/read.ts"
import { FakeClock } from "../../support/fake_clock.ts"
import { scratch } from "../../support/scratch.ts"

export const header = (facts: Partial<SessionHeader> = {}): SessionHeader => ({
  kind: "session",
  version: recording_version,
  id: newSessionId(),
  gateway: "gw.example.com",
  protocol: "ssh",
  subject: "alice@example.com",
  groups: ["engineers"],
  via: "ssh-key SHA256:x",
  target: "prod-host",
  as: "root",
  grant: "g_0000000000000000" as GrantId,
  request: 42 as RequestId,
  grant_ends_at: Date.UTC(2026, 0, 15, 13),
  client: "192.0.2.7:52044",
  ...facts,
})

export interface Opened {
  readonly recorder: DiskRecorder
  readonly failures: Error[]
  readonly header: SessionHeader
}

export function record(
  dir: string,
  { clock = new FakeClock(), mode = "cut", facts = {} }: { clock?: Clock; mode?: "cut" | "allow"; facts?: Partial<SessionHeader> } = {},
): Opened {
  const failures: Error[] = []
  const head = header(facts)
  const log = createLog("silent")
  const recorder = openRecorder({ dir, header: head, clock, mode, onFailure: (error) => failures.push(error), log })
  return { recorder, failures, header: head }
}

export const closed = { kind: "end", code: "closed", bytes_up: 1, bytes_down: 2 } as const

export async function linesOf(path: string): Promise<Line[]> {
  const lines: Line[] = []
  for await (const line of readRecording(path)) lines.push(line)
  return lines
}

const root = scratch("record")
let made = 0
/** A new folder for recordings. */
export function fresh(): string {
  const folder = join(root, String(++made))
  mkdirSync(folder)
  return folder
}
