// Durations as people write them: "90s", "15m", "1h30m", "2d".

const unit_ms = { s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 } as const

/** Milliseconds, or undefined when `text` is not a duration. */
export function parseDuration(text: string): number | undefined {
  if (!/^(\d{1,6}[smhd])+$/.test(text)) return undefined
  let total = 0
  for (const [, count, unit] of text.matchAll(/(\d+)([smhd])/g)) total += Number(count) * unit_ms[unit as keyof typeof unit_ms]
  return total
}

/** The largest two units: 5,400,000 is "1h30m", 59,000 is "59s". */
export function formatDuration(duration_ms: number): string {
  let rest = Math.max(0, Math.round(duration_ms / 1000)) * 1000
  const parts: string[] = []
  for (const unit of ["d", "h", "m", "s"] as const) {
    const count = Math.floor(rest / unit_ms[unit])
    if (count > 0) parts.push(`${count}${unit}`)
    rest -= count * unit_ms[unit]
  }
  return parts.slice(0, 2).join("") || "0s"
}
