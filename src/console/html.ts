// HTML from a tagged template that escapes whatever is put into it. There is no way to say that a text is HTML already: only what
// this file made is taken as such.
import assert from "node:assert/strict"

export class Html {
  readonly #text: string

  private constructor(text: string) {
    this.#text = text
  }

  toString(): string {
    return this.#text
  }

  static of(strings: TemplateStringsArray, values: readonly Content[]): Html {
    let text = strings[0] ?? ""
    for (const [index, value] of values.entries()) {
      // Without quotes, a space in the value would begin an attribute of its own.
      assert(!/<[a-z][^<>"]*("[^"]*"[^<>"]*)*=\s*$/i.test(strings[index] ?? ""), "a value stands between quotes in an attribute")
      text += written(value) + (strings[index + 1] ?? "")
    }
    return new Html(text)
  }

  static style(sheet: string): Html {
    assert(!sheet.includes("<"), "nothing in a style sheet can end it")
    return new Html(`<style>${sheet}</style>`)
  }
}

/** What may stand in a template: text, which is escaped; HTML; several of them; or nothing. */
export type Content = Html | string | number | false | null | undefined | readonly Content[]

/** A style sheet as it stands, which its hash is made of. */
export const styleElement = (sheet: string): Html => Html.style(sheet)

export const html = (strings: TemplateStringsArray, ...values: readonly Content[]): Html => Html.of(strings, values)

function written(value: Content): string {
  if (value === false || value === null || value === undefined) return ""
  if (value instanceof Html) return value.toString()
  if (typeof value === "object") return value.map(written).join("")
  return String(value).replace(/[&<>"'`]/g, (character) => escapes[character] ?? "")
}

const escapes: Readonly<Record<string, string>> = { "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "'": "&#39;", "`": "&#96;" }
