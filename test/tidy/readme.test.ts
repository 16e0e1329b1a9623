import assert from "node:assert/strict"
import { existsSync, mkdirSync, readFileSync, readdirSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { test } from "node:test"
import { inspect } from "node:util"
import { loadConfig } from "../../src/config/load.ts"
import { generateOpensshKey } from "../../src/config/openssh_key.ts"
import { scratch } from "../support/scratch.ts"
import { root, sources } from "./source.ts"

const readme = readFileSync(join(root, "README.md"), "utf8")

/** The paths of the block under "The tree", from the root. */
function tree(): string[] {
  const [, block = ""] = /## The tree\n+```\n([\s\S]*?)```/.exec(readme) ?? []
  let parent = ""
  return block
    .trimEnd()
    .split("\n")
    .map((line) => {
      const [, indent = "", name = ""] = /^( *)(\S+)/.exec(line) ?? []
      if (indent !== "") return join(parent, name)
      parent = name
      return name
    })
}

const folders = (path: string): string[] =>
  readdirSync(join(root, path), { withFileTypes: true })
    .filter((entry) => entry.isDirectory())
    .map(({ name }) => name)

test("readme: the tree is what is there", () => {
  const told = tree()
  assert.deepEqual(
    told.filter((path) => !existsSync(join(root, path))),
    [],
    "told, and not there",
  )
  const made = new Set([".git", "node_modules", "dist", "data"])
  const there = [
    ...folders(".").filter((name) => !made.has(name)),
    ...["src", "protocols", "test"].flatMap((parent) => folders(parent).map((name) => `${parent}/${name}`)),
  ].filter((path) => holdsFiles(path))
  assert.deepEqual(
    there.filter((path) => !told.includes(`${path}/`)),
    [],
    "there, and not told",
  )
})

/** Whether it holds a file: an empty folder is not part of the project. */
function holdsFiles(path: string): boolean {
  return readdirSync(join(root, path), { recursive: true, withFileTypes: true }).some((entry) => entry.isFile())
}

/** By name, with their text. */
const pages: ReadonlyMap<string, string> = new Map(
  ["README.md", ...readdirSync(join(root, "docs")).map((name) => `docs/${name}`)].map((name) => [
    name,
    readFileSync(join(root, name), "utf8"),
  ]),
)

test("readme and docs: every link leads to a file, and to a heading that it has", () => {
  /** As GitHub makes them. */
  const anchors = (text: string): string[] =>
    Array.from(text.matchAll(/^#+ (.+)$/gm), ([, words]) =>
      words!
        .toLowerCase()
        .replaceAll(/[^\w\- ]/g, "")
        .replaceAll(" ", "-"),
    )
  const links = [...pages].flatMap(([page, text]) =>
    Array.from(text.matchAll(/\]\(([^)#:\s]*)(?:#([^)\s]*))?\)/g), ([, path, anchor]) => ({
      page,
      to: path ? join(page, "..", path) : page,
      anchor,
    })),
  )
  assert(links.length > 10)
  const broken = links.filter(
    ({ to, anchor }) => !existsSync(join(root, to)) || (anchor !== undefined && !anchors(pages.get(to) ?? "").includes(anchor)),
  )
  assert.deepEqual(broken, [])
})

test("readme and docs: every path they name is there", () => {
  const named = [...pages.values()].flatMap((text) =>
    Array.from(text.matchAll(/`((?:src|protocols|test|docs|demo|config|bench|tools|bin)\/[\w./-]+)`/g), ([, path]) => path!),
  )
  assert(named.length > 5)
  assert.deepEqual(
    named.filter((path) => !existsSync(join(root, path))),
    [],
  )
})

test("readme and docs: every verb they name exists", () => {
  const verbs = sources("src/cli").flatMap(({ text }) =>
    Array.from(text.matchAll(/(?:\.command|helpCommand)\("([\w-]+)/g), ([, verb]) => verb!),
  )
  const all = [...pages.values()].join("\n")
  const named = Array.from(all.matchAll(/(?:npx sluice|`sluice|ssh_config gateway|ssh gateway) ([a-z][a-z-]+)/g), ([, verb]) => verb!)
  assert(named.length > 10)
  assert.deepEqual(
    named.filter((verb) => !verbs.includes(verb)),
    [],
  )
})

test("readme: every npm script it names exists", () => {
  const { scripts } = JSON.parse(readFileSync(join(root, "package.json"), "utf8")) as { scripts: Record<string, string> }
  const named = Array.from(readme.matchAll(/\bnpm (?:run (\w+)|(start|test)\b)/g), ([, script, short]) => script ?? short!)
  assert.deepEqual(
    named.filter((name) => !(name in scripts)),
    [],
  )
})

test("readme: its sluice.yaml is sound", async () => {
  const [, yaml = ""] = /```yaml\n([\s\S]*?)```/.exec(readme) ?? []
  const folder = scratch("readme")
  mkdirSync(join(folder, "keys"))
  for (const name of ["alice", "bob"]) writeFileSync(join(folder, "keys", `${name}.pub`), generateOpensshKey(name).public)
  writeFileSync(join(folder, "sluice.yaml"), yaml)
  process.env["ORDERS_READONLY"] = "a password"
  const loaded = await loadConfig(join(folder, "sluice.yaml"))
  assert(loaded.ok, inspect(loaded))
})
