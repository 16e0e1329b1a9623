// Whether a process still runs.
import { readFileSync } from "node:fs"

/** One that has ended runs nothing, also while nobody has asked how: who does that on a busy machine takes a while. */
export function lives(pid: number): boolean {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "latin1")
    const state = stat[stat.lastIndexOf(")") + 2] // behind the name, which may have anything in it
    return state !== "Z" && state !== "X"
  } catch {
    return false
  }
}
