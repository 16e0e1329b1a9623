// Text that somebody else wrote, as it may be shown on a terminal: what would move the cursor, reorder the letters or hide is shown
// as its escape, so that a statement or a reason cannot forge the page it stands on.

const short: Readonly<Record<string, string>> = { "\n": "\\n", "\r": "\\r", "\t": "\\t", "\u001b": "\\e" }

/**
 * Control, format (bidi among them), private, unassigned, unpaired and unseen characters, every space but the usual one, and marks that
 * are heaped upon others, as `\n`, `\e`, `\x07`, `\u{202e}`; a backslash as two.
 */
export function visible(text: string): string {
  return text.replace(hidden, (character) => {
    if (character === "\\") return "\\\\"
    const code = character.codePointAt(0)!
    return short[character] ?? (code < 0x100 ? `\\x${code.toString(16).padStart(2, "0")}` : `\\u{${code.toString(16)}}`)
  })
}

/** U+2800 is a Braille pattern without a dot. Five marks on one letter reach into the lines above and below; no language has as many. */
const hidden = /[\p{C}\p{Zl}\p{Zp}\p{Default_Ignorable_Code_Point}\u2800\\]|(?! )\p{Zs}|(?<=\p{M}{4})\p{M}/gu

/** The same over several lines: each ends where it ends, and says so. */
export const visibleLines = (text: string): string => text.split("\n").map(visible).join("\\n\n")

/** JSON that a terminal shows as it stands: the same characters as JSON's own escapes. */
export function visibleJson(value: unknown, indent?: number): string {
  return JSON.stringify(value, null, indent).replace(/[\u007f-\u009f\p{Cf}\p{Zl}\p{Zp}\p{Default_Ignorable_Code_Point}]/gu, (character) =>
    Array.from({ length: character.length }, (_, at) => `\\u${character.charCodeAt(at).toString(16).padStart(4, "0")}`).join(""),
  )
}
