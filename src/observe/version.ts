// Which version of Sluice this is, from the package it was installed as.
import { readFileSync } from "node:fs"
import { findPackageJSON } from "node:module"

export const version: string = readVersion()

function readVersion(): string {
  // The nearest one above this file, as source and as built.
  const path = findPackageJSON(import.meta.url)
  const { version: found } = path === undefined ? {} : (JSON.parse(readFileSync(path, "utf8")) as { version?: unknown })
  return typeof found === "string" ? found : "unknown"
}
