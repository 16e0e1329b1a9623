import assert from "node:assert/strict"
import { test } from "node:test"
import { sources } from "./source.ts"

// The lower a folder, the less it may know. Folders of one height may know each other's types; cycles are the linter's.
const heights: Readonly<Record<string, number>> = {
  core: 0,
  classify: 1,
  config: 1,
  api: 1,
  observe: 1,
  record: 1,
  identity: 1,
  console: 1,
  gateway: 2,
  approvals: 2,
  cli: 3,
}

const heightOf = (path: string): number => heights[/^src\/(\w+)\//.exec(path)?.[1] ?? ""] ?? 4

function faults(check: (path: string, imported: string) => string | false, ...folders: readonly string[]): string[] {
  return sources(...folders).flatMap(({ path, imports }) =>
    imports.flatMap((imported) => {
      const fault = check(path, imported)
      return fault ? [`${path} imports ${imported}: ${fault}`] : []
    }),
  )
}

test("layers: imports in src/ point down", () => {
  const found = faults((path, imported) => imported.startsWith("src/") && heightOf(imported) > heightOf(path) && "that is above it", "src")
  assert.deepEqual(found, [])
})

test("layers: the gateway and the approval service know each other by the API alone", () => {
  const other = { "src/gateway/": "src/approvals/", "src/approvals/": "src/gateway/" }
  const found = Object.entries(other).flatMap(([folder, forbidden]) =>
    faults(
      (path, imported) => path.startsWith(folder) && imported.startsWith(forbidden) && "they share types in src/api and src/core",
      "src",
    ),
  )
  assert.deepEqual(found, [])
})

test("layers: a protocol imports the contract, what is below it, and no other protocol", () => {
  const allowed =
    /^src\/(core\/|observe\/|gateway\/(both_ways|contract|pump)\.ts$|record\/(events|recorder)\.ts$|identity\/(credential|ssh_(certificate|verifying_key|fingerprint))\.ts$)/
  const found = faults((path, imported) => {
    if (path === "protocols/index.ts") return false
    const own = path.split("/").slice(0, 2).join("/")
    if (imported.startsWith("protocols/")) return !imported.startsWith(`${own}/`) && "that is another protocol"
    if (imported.startsWith("src/")) return !allowed.test(imported) && "that is not for protocols"
    return false
  }, "protocols")
  assert.deepEqual(found, [])
})

test("layers: a protocol has no way to a socket that the core did not give it", () => {
  const forbidden = new Set(["node:net", "node:tls", "node:dgram", "node:child_process", "net", "tls"])
  assert.deepEqual(
    faults((_path, imported) => forbidden.has(imported) && "the core dials and listens", "protocols"),
    [],
  )
})

test("layers: only identity/ mints an Identity", () => {
  const found = sources("src", "protocols", "demo")
    .filter(({ path, text }) => /\bmintIdentity\b/.test(text) && !path.startsWith("src/identity/") && path !== "src/core/identity.ts")
    .map(({ path }) => path)
  assert.deepEqual(found, [])
})

test("layers: only the ends of the program know the list of protocols", () => {
  const knows = sources("src", "protocols", "demo", "tools")
    .filter(({ imports }) => imports.includes("protocols/index.ts"))
    .map(({ path }) => path)
  assert.deepEqual(
    knows.filter((path) => path !== "src/main.ts" && path !== "demo/start.ts"),
    [],
  )
})

test("layers: nothing that is shipped imports the tests", () => {
  const found = faults((_path, imported) => /^(test|bench|demo)\//.test(imported) && "that is not shipped", "src", "protocols")
  assert.deepEqual(found, [])
})

test("layers: an Identity or a Session is never made by a cast but in the one place", () => {
  const casts = sources("src", "protocols").flatMap(({ path, text }) =>
    Array.from(text.matchAll(/\bas (?:unknown as )?(Identity|Session)\b(?!\w)/g), ([cast]) => `${path}: ${cast}`).filter(
      (found) => !/^\s*import|^src\/core\/identity\.ts: as Identity$|^src\/gateway\/\w+\.ts: as (unknown as )?Session$/.test(found),
    ),
  )
  assert.deepEqual(casts, [])
})
