// What a grant for single actions may say about files that SFTP touches: "sftp read,list /var/log/*". Paths are compared as the
// client sent them, with what means nothing in them left out; one that is relative or leads through `..` is somewhere that only
// the target knows, and never covered. Links are followed by the target: a path says where one asks, not where one ends. Pure.
import type { FileName, FileOperation } from "./action.ts"
import { pathPattern } from "./action_pattern.ts"
import { fileOperations, namesOf } from "./file_match.ts"

export interface FileScope {
  /** Canonical. */
  readonly text: string
  /** The one operation on one path that it covers, where it is one. */
  readonly exact: string | undefined
  /** Of a text that `fileTexts` gives, or another's `exact`. */
  covers(text: string): boolean
}

const named: readonly string[] = fileOperations.filter((name) => name !== "other")
const form = /^sftp +(?<ops>\*|[a-z]+(?:,[a-z]+)*) +(?<path>\/.*)$/s

export const isFileScope = (written: string): boolean => written.startsWith("sftp ")

/** Throws an Error with words for the one who wrote it. */
export function readFileScope(written: string): FileScope {
  const { ops = "", path = "" } = form.exec(written)?.groups ?? {}
  const names = [...new Set(ops.split(","))].sort()
  const known = ops === "*" || names.every((name) => named.includes(name))
  if (path === "" || !known) throw new Error(`operations (${named.join(", ")} or *) and a path that begins with /`)
  const plain = plainPath(path)
  if (plain === undefined) throw new Error("a path without ..")
  const text = `sftp ${names.join(",")} ${plain}`
  const pattern = pathPattern(plain)
  const covers = (other: string): boolean => {
    const [, op = "", of = ""] = /^sftp ([a-z]+) (\/.*)$/s.exec(other) ?? []
    return named.includes(op) && (ops === "*" || names.includes(op)) && pattern(of)
  }
  const one = ops !== "*" && names.length === 1 && !plain.includes("*")
  return { text, exact: one ? text : undefined, covers }
}

/** What must all be covered for an operation to be: "sftp read /var/log/syslog". Undefined when it never is. */
export function fileTexts(operation: FileOperation): readonly string[] | undefined {
  if (operation.op === "other") return undefined
  const paths = [operation.path, ...("to" in operation ? [operation.to] : [])].map(plainPath)
  const texts: string[] = []
  for (const path of paths) {
    if (path === undefined) return undefined
    for (const op of namesOf(operation)) texts.push(`sftp ${op} ${path}`)
  }
  return texts
}

/** Without empty steps and `.`; undefined for one that is relative, leads upwards, or is no text. */
function plainPath(path: FileName): string | undefined {
  // Where a NUL is, some programs see a path's end.
  if (typeof path !== "string" || !path.startsWith("/") || path.includes("\0")) return undefined
  const steps = path.split("/").filter((step) => step !== "" && step !== ".")
  return steps.includes("..") ? undefined : `/${steps.join("/")}`
}
