// On what the numbers were measured, in one paragraph to print above them.
import { availableParallelism, cpus, loadavg, release, totalmem } from "node:os"

export function machine(): string {
  const model = cpus()[0]?.model.trim() ?? "unknown processor"
  const memory = `${Math.round(totalmem() / 2 ** 30)} GiB`
  const load = loadavg()[0]?.toFixed(1) ?? "?"
  return [
    `${new Date().toISOString().slice(0, 16)} UTC, ${availableParallelism()} × ${model}, ${memory}, Linux ${release()}, Node ${process.versions.node}`,
    `load average before the run: ${load} (the load, the proxies and the targets share these processors)`,
  ].join("\n")
}
