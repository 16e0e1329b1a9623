// Sizes as people write them in the config: 512, "512KiB", "16MiB".
import type { Reading } from "./reading.ts"
import type { Path } from "./source.ts"

const unit_bytes = { "": 1, KiB: 1024, MiB: 1024 ** 2, GiB: 1024 ** 3 } as const

/** Bytes; 0 with a problem told when it is no size. */
export function readSize(reading: Reading, path: Path, written: number | string): number {
  const bytes = typeof written === "number" ? written : parseSize(written)
  if (bytes === undefined) reading.problem(path, "expected a size, such as 16MiB, 512KiB or a number of bytes")
  return bytes ?? 0
}

function parseSize(written: string): number | undefined {
  const [, count, unit] = /^(\d{1,9})\s*(KiB|MiB|GiB|)$/.exec(written) ?? []
  return count === undefined ? undefined : Number(count) * unit_bytes[unit as keyof typeof unit_bytes]
}
