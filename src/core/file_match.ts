// Which file operations of SFTP a rule is about. A path is compared as it is sent: one that is relative, or that leads through `.` or
// `..`, is somewhere that only the target knows. Pure.
import type { FileName, FileOperation } from "./action.ts"
import type { Pattern } from "./action_pattern.ts"

/** `open` is "read", "write", or both, by its flags. */
export const fileOperations = [
  "read",
  "write",
  "list",
  "remove",
  "mkdir",
  "rmdir",
  "rename",
  "symlink",
  "hardlink",
  "copy",
  "setattr",
  "other",
] as const
export type FileOperationName = (typeof fileOperations)[number]

export interface FileMatch {
  /** Undefined: all. */
  readonly ops: readonly FileOperationName[] | undefined
  readonly paths: readonly Pattern[] | undefined
}

/** `wide`: also where it may be one of the paths. */
export function fileMatches({ ops, paths }: FileMatch, operation: FileOperation, wide: boolean): boolean {
  const named = namesOf(operation)
  // Who opens a file for both does both: a rule that allows must know of each, for one that does not one is enough.
  if (ops !== undefined && !(wide ? named.some((name) => ops.includes(name)) : named.every((name) => ops.includes(name)))) return false
  if (paths === undefined) return true
  const touched = [operation.path, "to" in operation ? operation.to : undefined].filter((path) => path !== undefined)
  // Who gives a folder another name gives all that is in it one.
  const whole = wide && renaming.has(operation.op)
  const is = (path: FileName): boolean => (isPlain(path) ? paths.some((pattern) => pattern(path) || (whole && pattern(`${path}/`))) : wide)
  return wide ? touched.length === 0 || touched.some(is) : touched.length > 0 && touched.every(is)
}

const renaming: ReadonlySet<FileOperation["op"]> = new Set(["rename", "symlink", "hardlink"])

/** A file may be opened for both; with no flags at all it is opened for reading. What is made as `setattr` would leave it is that too. */
export function namesOf(operation: FileOperation): readonly FileOperationName[] {
  const names = operation.op === "open" ? waysOf(operation) : [operation.op]
  return operation.op !== "setattr" && "set" in operation ? [...names, "setattr"] : names
}

function waysOf(operation: Extract<FileOperation, { op: "open" }>): readonly FileOperationName[] {
  const writes = operation.flags.some((flag) => flag !== "read")
  const reads = operation.flags.includes("read") || !writes
  return [...(reads ? ["read" as const] : []), ...(writes ? ["write" as const] : [])]
}

const isPlain = (path: FileName): path is string =>
  typeof path === "string" &&
  path.startsWith("/") &&
  !path.includes("\0") && // a server that reads it as a C string sees another
  !path
    .split("/")
    .slice(1)
    .some((step) => step === "." || step === ".." || step === "")
