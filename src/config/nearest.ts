// The word somebody probably meant.

/** The word of `words` that is fewest edits away from `wrong`; undefined when none is near enough to be a typing mistake. */
export function nearest(wrong: string, words: Iterable<string>): string | undefined {
  const far = Math.max(1, Math.floor(wrong.length / 3)) + 1
  let best: { word: string; edits: number } | undefined
  for (const word of words) {
    if (Math.abs(word.length - wrong.length) >= far) continue
    const edits = distance(wrong.toLowerCase(), word.toLowerCase())
    if (edits < (best?.edits ?? far)) best = { word, edits }
  }
  return best?.word
}

/** Insertions, removals, changes, and swaps of neighbours (optimal string alignment). */
function distance(a: string, b: string): number {
  const rows = Array.from({ length: a.length + 1 }, (_, i) => [i, ...Array.from({ length: b.length }, () => 0)])
  rows[0] = Array.from({ length: b.length + 1 }, (_, j) => j)
  const at = (i: number, j: number): number => rows[i]?.[j] ?? 0
  for (let i = 1; i <= a.length; i++) {
    for (let j = 1; j <= b.length; j++) {
      const same = a[i - 1] === b[j - 1]
      let edits = Math.min(at(i - 1, j) + 1, at(i, j - 1) + 1, at(i - 1, j - 1) + (same ? 0 : 1))
      const swapped = i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1]
      if (swapped) edits = Math.min(edits, at(i - 2, j - 2) + 1)
      rows[i]![j] = edits
    }
  }
  return at(a.length, b.length)
}
