import assert from "node:assert/strict"
import { readFileSync } from "node:fs"
import { join } from "node:path"
import { test } from "node:test"
import { root, sources } from "./source.ts"

/** The kinds of the type, read as they are written: a kind that is added without a word in the table is found here. */
function kindsOfType(): string[] {
  const text = readFileSync(join(root, "src/approvals/store.ts"), "utf8")
  const [, union = ""] = /export type EventKind =\n((?: +(?:\||\/\*\*).*\n)+)/.exec(text) ?? []
  return Array.from(union.matchAll(/^ +\| "([a-z_]+\.[a-z_]+)"$/gm), ([, kind = ""]) => kind)
}

test("docs: the table of audit events has every kind there is, once, and no other", () => {
  const document = readFileSync(join(root, "docs/audit-events.md"), "utf8")
  const told = Array.from(document.matchAll(/^\| `([a-z_]+\.[a-z_]+)` \| \S.* \|$/gm), ([, kind = ""]) => kind)
  const kinds = kindsOfType()
  assert(kinds.includes("request.asked"), "the type was found")
  assert.deepEqual(told.toSorted(), kinds.toSorted())
})

test("docs: every kind of audit event is written somewhere", () => {
  const texts = sources("src/approvals").filter(({ path }) => !/\/(store|feed|waiters)\.ts$|\/(steps|notifications)\//.test(path))
  const written = [...texts, ...sources("src/approvals/notifications").filter(({ path }) => path.endsWith("/notifier.ts"))]
    .map(({ text }) => text)
    .join("\n")
  // These are written as two words put together, `request.${state}`.
  const composed = { request: ["approved", "denied"], grant: ["revoked", "dropped"] }
  const inTwo = Object.entries(composed).flatMap(([family, words]) =>
    written.includes(`\`${family}.\${`) ? words.map((word) => `${family}.${word}`) : [],
  )
  const silent = kindsOfType().filter((kind) => !written.includes(`"${kind}"`) && !inTwo.includes(kind))
  assert.deepEqual(silent, [])
})
