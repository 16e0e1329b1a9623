import assert from "node:assert/strict"
import { basename } from "node:path"
import { test } from "node:test"
import { limits } from "../../src/core/limits.ts"
import { sources } from "./source.ts"

const shipped = sources("src", "protocols", "demo", "bench", "tools")
const everything = [...shipped, ...sources("test")]

test("shape: no file comes near 400 lines", () => {
  const long = everything.map(({ path, text }) => ({ path, lines: text.split("\n").length })).filter(({ lines }) => lines >= 400)
  assert.deepEqual(long, [])
})

test("shape: a file is one noun in snake_case, and not a drawer for odds and ends", () => {
  const names = everything.map(({ path }) => basename(path).replace(/(\.test)?\.ts$/, ""))
  assert.deepEqual(
    names.filter((name) => !/^[a-z][a-z0-9]*(_[a-z0-9]+)*$/.test(name)),
    [],
  )
  assert.deepEqual(
    names.filter((name) => /^(utils?|helpers?|common|managers?|misc|lib|shared)$/.test(name)),
    [],
  )
})

test("shape: every module begins with what it owns", () => {
  const silent = shipped.filter(({ text }) => !text.startsWith("// ") && !text.startsWith("#!")).map(({ path }) => path)
  assert.deepEqual(silent, [])
})

test("shape: no file only passes on what others export", () => {
  const barrels = everything.filter(({ text }) => {
    const statements = text.replace(/^\s*\/\/.*$/gm, "").trim()
    return statements !== "" && statements.replace(/export (type )?(\*|\{[^}]*\})( as \w+)? from "[^"]+"/g, "").trim() === ""
  })
  assert.deepEqual(
    barrels.map(({ path }) => path),
    [],
  )
})

test("shape: nothing is left to do later", () => {
  const found = everything.filter(({ path, text }) => /\b(TODO|FIXME|XXX|HACK)\b/.test(text) && path !== "test/tidy/shape.test.ts")
  assert.deepEqual(
    found.map(({ path }) => path),
    [],
  )
})

test("shape: every limit bounds something", () => {
  // In its own file too: an assertion there may tie one bound to another.
  const texts = shipped.map(({ text }) => text)
  const unused = Object.keys(limits).filter((name) => {
    const used = new RegExp(`\\blimits\\.${name}\\b|\\{[^}]*\\b${name}\\b[^}]*\\} = limits\\b`)
    return !texts.some((text) => used.test(text))
  })
  assert.deepEqual(unused, [])
})

test("shape: time comes from the clock, where a session's end depends on it", () => {
  const found = sources("src/gateway", "src/approvals", "protocols").filter(({ text }) => /\bDate\.now\(\)/.test(text))
  assert.deepEqual(
    found.map(({ path }) => path),
    [],
  )
})
