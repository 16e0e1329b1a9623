// A fact a line, as somebody reads them who decides: a label, and a text that others wrote. A text longer than the screen goes on below
// itself and never below the labels: else the terminal would wrap it to where a line of ours begins, and it could look like one.

/** Where nobody says how wide the screen is: ssh without a terminal of its own. */
const columns_usual = 80
const label_width = 10
const room_min = 20

/** "  who     alice"; `text` is visible already; its lines stay lines. Nothing of it is left out, nor a space. */
export function factLines(label: string, text: string, columns: number): string {
  const [first = "", ...rest] = folded(text, columns, label_width)
  return [`  ${label.padEnd(label_width - 3)} ${first}`, ...rest.map((part) => " ".repeat(label_width) + part)].join("\n")
}

/** The same without a label, `indent` columns from the left. */
export const indented = (text: string, columns: number, indent = 2): string =>
  folded(text, columns, indent)
    .map((part) => " ".repeat(indent) + part)
    .join("\n")

function folded(text: string, columns: number, indent: number): string[] {
  const room = Math.max((Number.isFinite(columns) ? columns : columns_usual) - indent, room_min)
  return text.split("\n").flatMap((line) => pieces(line, room))
}

function pieces(line: string, room: number): string[] {
  const parts: string[] = []
  let part = ""
  let filled = 0
  for (const character of line) {
    const wide = isWide.test(character) ? 2 : 1
    if (filled + wide > room) {
      parts.push(part)
      part = ""
      filled = 0
    }
    part += character
    filled += wide
  }
  return [...parts, part]
}

/** Two columns wide on a terminal (Unicode's East_Asian_Width, as far as it matters here). */
const isWide =
  /[\u1100-\u115f\u2e80-\u303e\u3041-\u4dbf\u4e00-\ua4cf\ua960-\ua97f\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe6f\uff01-\uff60\uffe0-\uffe6\u{1f000}-\u{1faff}\u{20000}-\u{3fffd}]/u
