// Which file operations of SFTP a rule is about. A path is compared as it is sent: one that is relative, or that leads through `.` or
// `..`, is somewhere that only the target knows. Pure.
import type { FileName, FileOperation } from "./action.ts"
import type { Pattern } from "./action_pattern.ts"

/** `open` is "write" when its flags let it change or make the file. */
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
  if (ops !== undefined && !ops.includes(nameOf(operation))) return false
  if (paths === undefined) return true
  const touched = [operation.path, "to" in operation ? operation.to : undefined].filter((path) => path !== undefined)
  const is = (path: FileName): boolean => (isPlain(path) ? paths.some((pattern) => pattern(path)) : wide)
  return wide ? touched.length === 0 || touched.some(is) : touched.length > 0 && touched.every(is)
}

function nameOf(operation: FileOperation): FileOperationName {
  if (operation.op !== "open") return operation.op
  return operation.flags.every((flag) => flag === "read") ? "read" : "write"
}

const isPlain = (path: FileName): path is string =>
  typeof path === "string" &&
  path.startsWith("/") &&
  !path.includes("\0") && // a server that reads it as a C string sees another
  !path
    .split("/")
    .slice(1)
    .some((step) => step === "." || step === ".." || step === "")
