// How much memory processes take, as the kernel counts it.
import { readdirSync, readFileSync } from "node:fs"

/** KiB of a process and those below it. */
export function residentKib(pid: number): number {
  const children = new Map<number, number[]>()
  for (const name of readdirSync("/proc")) {
    const parent = /^\d+$/.test(name) ? field(Number(name), "PPid") : undefined
    if (parent !== undefined) children.set(parent, [...(children.get(parent) ?? []), Number(name)])
  }
  const sum = (one: number): number => (field(one, "VmRSS") ?? 0) + (children.get(one) ?? []).reduce((all, child) => all + sum(child), 0)
  return sum(pid)
}

function field(pid: number, name: string): number | undefined {
  try {
    const [, value] = new RegExp(`^${name}:\\s+(\\d+)`, "m").exec(readFileSync(`/proc/${pid}/status`, "utf8")) ?? []
    return value === undefined ? undefined : Number(value)
  } catch {
    return undefined // it has ended meanwhile
  }
}
