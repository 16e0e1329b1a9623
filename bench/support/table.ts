// Numbers as a Markdown table, to read on a screen and to paste into the README.
import { type Measured, median, ratio } from "./rounds.ts"

export interface TableOptions {
  readonly title: string
  readonly unit: string
  /** The contenders the others are divided by. */
  readonly bases: readonly string[]
  readonly digits?: number
}

export function printMeasured(measured: Measured, { title, unit, bases, digits = 0 }: TableOptions): void {
  const rows = [...measured].map(([name, values]) => [
    name,
    median(values).toFixed(digits),
    `${Math.min(...values).toFixed(digits)}–${Math.max(...values).toFixed(digits)}`,
    ...bases.map((base) => ratioWords(measured, name, base)),
  ])
  printTable(title, ["", `median ${unit}`, "spread", ...bases.map((base) => `of ${base}`)], rows)
}

function ratioWords(measured: Measured, name: string, base: string): string {
  if (name === base) return "1"
  const { median, min, max } = ratio(measured, name, base)
  return `${median.toFixed(2)} (${min.toFixed(2)}–${max.toFixed(2)})`
}

export function printTable(title: string, head: readonly string[], rows: readonly (readonly string[])[]): void {
  const widths = head.map((cell, column) => Math.max(cell.length, ...rows.map((row) => row[column]?.length ?? 0)))
  const line = (cells: readonly string[]): string => `| ${cells.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join(" | ")} |`
  console.log(`\n${title}\n\n${line(head)}\n|${widths.map((width) => "-".repeat(width + 2)).join("|")}|`)
  for (const row of rows) console.log(line(row))
}
