// The project's files as the tidy tests read them.
import { readFileSync, readdirSync } from "node:fs"
import { dirname, join, relative, resolve } from "node:path"

export const root = resolve(import.meta.dirname, "../..")

export interface SourceFile {
  /** From the root: "src/core/limits.ts". */
  readonly path: string
  readonly text: string
  /** What it imports of the project, from the root; and packages and Node's modules by name. */
  readonly imports: readonly string[]
}

/** Every TypeScript file below the folders, but those of packages. */
export function sources(...folders: readonly string[]): readonly SourceFile[] {
  return folders.flatMap((folder) =>
    readdirSync(join(root, folder), { recursive: true, encoding: "utf8" })
      .filter((name) => name.endsWith(".ts") && !name.includes("node_modules/"))
      .map((name) => readSource(join(folder, name))),
  )
}

function readSource(path: string): SourceFile {
  const text = readFileSync(join(root, path), "utf8")
  const specifiers = Array.from(
    text.matchAll(/(?:^|\n)(?:import|export)\b[^"'`]*?\bfrom "([^"]+)"|\bimport\("([^"]+)"\)|(?:^|\n)import "([^"]+)"/g),
  )
  const imports = specifiers.map(([, from, dynamic, bare]) => {
    const specifier = from ?? dynamic ?? bare ?? ""
    return specifier.startsWith(".") ? relative(root, resolve(root, dirname(path), specifier)) : specifier
  })
  return { path, text, imports }
}
