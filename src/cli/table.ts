// Rows for people: columns as wide as what stands in them, the last one folded to the reader's terminal and never cut.

const gap = "  "
const folded_width_min = 20

/** Cells must be visible text already. Without rows: `nothing`. */
export function table(
  heads: readonly string[],
  rows: readonly (readonly string[])[],
  options: { readonly columns: number; readonly nothing: string },
): string {
  if (rows.length === 0) return options.nothing
  const lines = [heads, ...rows]
  const widths = heads.map((_, column) => Math.max(...lines.map((cells) => width(cells[column] ?? ""))))
  const before = widths.slice(0, -1).reduce((sum, one) => sum + one + gap.length, 0)
  const room = Math.max(options.columns - before, folded_width_min)
  return lines
    .flatMap((cells) => {
      const first = cells.slice(0, -1).map((cell, column) => cell + " ".repeat(widths[column]! - width(cell)) + gap)
      const [start = "", ...rest] = fold(cells.at(-1) ?? "", room)
      return [`${first.join("")}${start}`.trimEnd(), ...rest.map((part) => " ".repeat(before) + part)]
    })
    .join("\n")
}

const width = (text: string): number => Array.from(text).length

/** At spaces where there are some, else wherever the room ends. */
function fold(text: string, room: number): string[] {
  const parts: string[] = []
  let rest = Array.from(text)
  while (rest.length > room) {
    const space = rest.lastIndexOf(" ", room)
    const at = space > room / 2 ? space : room
    parts.push(rest.slice(0, at).join(""))
    rest = rest.slice(rest[at] === " " ? at + 1 : at)
  }
  return [...parts, rest.join("")]
}
