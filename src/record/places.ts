// Where recordings lie. A live one is `live/<session>.<writer>.ndjson`; closed, it moves to `YYYY/MM/DD/<session>.ndjson` by the day
// (UTC) it began, which costs one rename. So only `live` has to be looked through after a crash. One folder is one
// gateway's (`folder_lock.ts`): the writer is a process of it.
import assert from "node:assert/strict"
import { readFileSync } from "node:fs"
import { join } from "node:path"
import type { Millis } from "../core/clock.ts"
import { isSessionId, type SessionId } from "../core/ids.ts"

const suffix = ".ndjson"
const livePattern = /^(s_[0-9a-z]{16})\.(\d+)-(\d+)\.ndjson$/

export const liveFolder = (dir: string): string => join(dir, "live")

export function livePath(dir: string, id: SessionId): string {
  assert(isSessionId(id), "a session's id names its file")
  return join(liveFolder(dir), `${id}.${ourselves}${suffix}`)
}

export function dayFolder(dir: string, began_at: Millis): string {
  const [year, month, day] = new Date(began_at).toISOString().slice(0, 10).split("-") as [string, string, string]
  return join(dir, year, month, day)
}

export function closedPath(dir: string, id: SessionId, began_at: Millis): string {
  assert(isSessionId(id), "a session's id names its file")
  return join(dayFolder(dir, began_at), id + suffix)
}

/** What the name of a file in `live` says; undefined when it is no recording's. */
export function readLiveName(name: string): { readonly id: SessionId; readonly writer: string } | undefined {
  const [, id, pid, start] = livePattern.exec(name) ?? []
  return id !== undefined && isSessionId(id) ? { id, writer: `${pid}-${start}` } : undefined
}

/** Whether the process that wrote as `writer` still runs. A new process with an old one's number is another: its start differs. */
export function isAlive(writer: string): boolean {
  const pid = Number(writer.split("-")[0])
  try {
    process.kill(pid, 0)
  } catch (failure) {
    if ((failure as NodeJS.ErrnoException).code === "ESRCH") return false
  }
  return writerOf(pid) === writer
}

/** `<pid>-<start>`: field 22 of /proc/<pid>/stat, proc(5), in ticks since the boot; 0 where there is no such file. */
function writerOf(pid: number): string {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "latin1")
    // The second field is the program's name in brackets and may hold anything: fields are counted after it.
    const [state = "", ...fields] = stat.slice(stat.lastIndexOf(")") + 2).split(" ")
    return `${pid}-${"ZX".includes(state) ? "dead" : fields[18]}`
  } catch {
    return `${pid}-0`
  }
}

export const ourselves = writerOf(process.pid)
