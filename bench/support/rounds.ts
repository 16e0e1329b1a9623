// Fair turns: every round lets each contender run once, each round starting with another, so that a machine that slows down does
// so for all of them. What is compared are medians, and ratios within a round.

export type Measured = ReadonlyMap<string, readonly number[]>

/** `contenders`: one turn each, answering what it measured. The first round warms up and is not counted. */
export async function inTurns<T>(
  rounds: number,
  contenders: ReadonlyMap<string, () => Promise<T>>,
): Promise<ReadonlyMap<string, readonly T[]>> {
  const names = [...contenders.keys()]
  const measured = new Map<string, T[]>(names.map((name) => [name, []]))
  for (let round = 0; round <= rounds; round++) {
    for (let turn = 0; turn < names.length; turn++) {
      const name = names[(turn + round) % names.length] as string
      const value = await contenders.get(name)?.()
      if (round > 0 && value !== undefined) measured.get(name)?.push(value)
      process.stderr.write(round === 0 ? "w" : ".")
    }
  }
  process.stderr.write("\n")
  return measured
}

/** `share` between 0 and 1; the nearest rank. */
export function quantile(values: readonly number[], share: number): number {
  const sorted = [...values].sort((a, b) => a - b)
  return sorted[Math.min(sorted.length - 1, Math.max(0, Math.ceil(share * sorted.length) - 1))] ?? NaN
}

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b)
  const middle = sorted.length / 2
  return ((sorted[Math.floor(middle)] ?? NaN) + (sorted[Math.ceil(middle) - 1] ?? NaN)) / 2
}

/** The median over the rounds of `name`'s number divided by `base`'s in the same round, and its spread. */
export function ratio(measured: Measured, name: string, base: string): { median: number; min: number; max: number } {
  const bases = measured.get(base) ?? []
  const ratios = (measured.get(name) ?? []).map((value, round) => value / (bases[round] ?? NaN))
  return { median: median(ratios), min: Math.min(...ratios), max: Math.max(...ratios) }
}
