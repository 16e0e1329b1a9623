import assert from "node:assert/strict"
import { readFileSync } from "node:fs"
import { join } from "node:path"
import { test } from "node:test"
import { root } from "./source.ts"

/** The names of the fields in a piece of a type, without `kind`. */
const fieldsIn = (text: string): string[] =>
  Array.from(text.matchAll(/readonly (\w+)\??:/g), ([, name = ""]) => name).filter((name) => name !== "kind")

/** The events of the type, read as they are written: a kind or a field that is added without a word in the table is found here. */
function eventsOfType(): Record<string, string[]> {
  const text = readFileSync(join(root, "src/record/events.ts"), "utf8").replaceAll(/\/\*\*[^]*?\*\//g, "")
  const named = (name: string): string[] => {
    const [, body] = new RegExp(`export (?:interface|type) ${name} (?:= )?(\\{[^]*?\\n(?=\\}|\\n)|.*\\n)`).exec(text) ?? []
    assert(body, name)
    return fieldsIn(body)
  }
  const [, union = ""] = /export type Event =\n([^]*?)\n\n/.exec(text) ?? []
  const members = union.split(/^ {2}\| /m).slice(1)
  const events = members.map((member): [string, string[]] => {
    if (member.startsWith("SessionHeader")) return ["session", named("SessionHeader")]
    const [, kind = ""] = /kind: "([a-z_]+)"/.exec(member) ?? []
    const [, picked] = /Pick<Outcome, ([^>]*)>/.exec(member) ?? []
    const more = picked
      ? Array.from(picked.matchAll(/"(\w+)"/g), ([, name = ""]) => name)
      : /& Outcome/.test(member)
        ? named("Outcome")
        : []
    return [kind, [...fieldsIn(member), ...more, ...(/& Bytes/.test(member) ? named("Bytes") : [])]]
  })
  return Object.fromEntries(events)
}

test("docs: the table of a recording's events has every kind there is, once, with all of its fields", () => {
  const document = readFileSync(join(root, "docs/recordings.md"), "utf8")
  const rows = Array.from(document.matchAll(/^\| `([a-z_]+)` \| (.*?) \| \S.* \|$/gm), ([, kind = "", fields = ""]): [string, string[]] => [
    kind,
    Array.from(fields.matchAll(/`(\w+)`/g), ([, name = ""]) => name),
  ])
  const events = eventsOfType()
  assert(events["session"]?.includes("subject") && events["outcome"]?.includes("exit"), "the types were found")
  assert.equal(new Set(rows.map(([kind]) => kind)).size, rows.length, "each once")
  assert.deepEqual(sorted(Object.fromEntries(rows)), sorted(events))
})

const sorted = (events: Record<string, string[]>): unknown =>
  Object.entries(events)
    .map(([kind, fields]) => `${kind}: ${fields.toSorted().join(" ")}`)
    .toSorted()
