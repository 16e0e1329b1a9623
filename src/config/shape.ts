// Says in words what zod found: which key is unknown and what is allowed there, what is missing, what kind of value is expected.
// Values are never repeated: they may be secrets.
import type { z } from "zod"
import { nearest } from "./nearest.ts"

export interface ShapeProblem {
  readonly path: readonly (string | number)[]
  readonly message: string
  /** It is about the key at the end of `path`, not its value. */
  readonly key: boolean
}

type Issue = z.core.$ZodIssue

export interface Checked {
  readonly schema: z.ZodType
  readonly value: unknown
  /** How messages name the whole of it. */
  readonly name: string | number
}

export function shapeProblems(checked: Checked, issues: readonly Issue[]): ShapeProblem[] {
  return issues.flatMap((issue) => explain(checked, issue))
}

function explain(checked: Checked, issue: Issue): ShapeProblem[] {
  const { schema, value, name } = checked
  const path = issue.path.map((step) => (typeof step === "symbol" ? String(step) : step))
  const here = inside(value, path)
  const about = (message: string): ShapeProblem[] => [{ path, message, key: false }]
  if (here === undefined && issue.code !== "unrecognized_keys") return about(`${path.at(-1) ?? name} is missing`)
  switch (issue.code) {
    case "unrecognized_keys": {
      const allowed = keysAt(schemaAt(schema, path))
      return issue.keys.map((key) => {
        const near = nearest(key, allowed)
        const hint = near ? `did you mean ${JSON.stringify(near)}? ` : ""
        return {
          path: [...path, key],
          message: `unknown key ${JSON.stringify(key)}; ${hint}allowed here: ${allowed.join(", ")}`,
          key: true,
        }
      })
    }
    case "invalid_type":
      return about(`expected ${kinds[issue.expected] ?? issue.expected}, found ${kindOf(here)}`)
    case "invalid_value": {
      const allowed = issue.values.map(String)
      const near = typeof here === "string" ? nearest(here, allowed) : undefined
      return about(`expected ${allowed.join(" or ")}${near ? `; did you mean ${JSON.stringify(near)}?` : ""}`)
    }
    case "invalid_union": {
      // The option that has the right kind at its root knows better what is wrong further in.
      const fitting = issue.errors.find((option) => option.every(({ path: at, code }) => at.length > 0 || code === "unrecognized_keys"))
      if (fitting)
        return shapeProblems(
          checked,
          fitting.map((inner) => ({ ...inner, path: [...issue.path, ...inner.path] })),
        )
      return about(`expected ${optionsOf(issue.errors).join(" or ")}, found ${kindOf(here)}`)
    }
    case "too_small":
      return about(
        issue.origin === "number" || issue.origin === "int" ? `at least ${issue.minimum}` : `at least ${issue.minimum} is needed`,
      )
    case "too_big":
      return about(`at most ${issue.maximum}`)
    case "custom":
    case "invalid_element":
    case "invalid_format":
    case "invalid_key":
    case "not_multiple_of":
      return about(issue.message)
  }
}

const kinds: Readonly<Record<string, string>> = {
  string: "text",
  object: "keys and values",
  record: "keys and values",
  array: "a list",
  int: "a whole number",
  number: "a number",
}

function kindOf(value: unknown): string {
  if (value === null) return "nothing"
  if (Array.isArray(value)) return "a list"
  if (typeof value === "number") return "a number (put it in quotes if text is meant)"
  if (typeof value === "boolean") return "true or false (put it in quotes if text is meant)"
  return typeof value === "string" ? "text" : "keys and values"
}

function optionsOf(errors: readonly (readonly Issue[])[]): string[] {
  return errors.flatMap((option) =>
    option.flatMap((issue) => {
      if (issue.code === "invalid_type") return [kinds[issue.expected] ?? issue.expected]
      return issue.code === "invalid_value" ? issue.values.map((word) => JSON.stringify(word)) : []
    }),
  )
}

/** The schema that is responsible at `path`. */
function schemaAt(schema: z.core.$ZodType, path: readonly (string | number)[]): z.core.$ZodType | undefined {
  let candidates = optionsIn(schema)
  for (const step of path) candidates = candidates.flatMap((option) => stepInto(option, step)).flatMap(optionsIn)
  return candidates.find((option) => option._zod.def.type === "object")
}

function stepInto(schema: z.core.$ZodType, step: string | number): z.core.$ZodType[] {
  const def = schema._zod.def
  if (def.type === "object") return [(def as z.core.$ZodObjectDef).shape[step]].filter((inner) => inner !== undefined)
  if (def.type === "array") return [(def as z.core.$ZodArrayDef).element]
  return def.type === "record" ? [(def as z.core.$ZodRecordDef).valueType] : []
}

/** Without the wrappers for defaults and absence, and a union as its options. */
function optionsIn(schema: z.core.$ZodType): z.core.$ZodType[] {
  const def = schema._zod.def as z.core.$ZodTypeDef & { innerType?: z.core.$ZodType }
  if (def.innerType) return optionsIn(def.innerType)
  return def.type === "union" ? (def as z.core.$ZodUnionDef).options.flatMap(optionsIn) : [schema]
}

function keysAt(schema: z.core.$ZodType | undefined): string[] {
  return schema ? Object.keys((schema._zod.def as z.core.$ZodObjectDef).shape) : []
}

function inside(value: unknown, path: readonly (string | number)[]): unknown {
  return path.reduce<unknown>(
    (at, step) => (typeof at === "object" && at !== null ? (at as Record<string | number, unknown>)[step] : undefined),
    value,
  )
}
