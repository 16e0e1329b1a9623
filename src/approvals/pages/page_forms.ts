// Forms as pages send them: urlencoded text in, what the API's schemas take out, or what is wrong with which field.
import type { z } from "zod"
import { extension, newRequest, reason as reasonBody } from "../../api/schema.ts"
import type { Field, Problems, Written } from "../../console/ask_page.ts"
import { parseDuration } from "../../core/duration.ts"
import { GatewayError } from "../../core/errors.ts"

/** What a browser sends of a text area has line ends; a reason is one line. */
const oneLine = (text: string): string => text.replaceAll(/\s+/g, " ").trim()

/** Throws `invalid`. */
export function readReason(form: URLSearchParams): z.output<typeof reasonBody> {
  return check(reasonBody, { reason: oneLine(form.get("reason") ?? "") })
}

/** Throws `invalid`. */
export function readExtension(form: URLSearchParams): z.output<typeof extension> {
  const duration_ms = parseDuration((form.get("for") ?? "").trim())
  if (duration_ms === undefined) throw new GatewayError("invalid", { what: duration_words })
  return check(extension, { duration_ms, reason: oneLine(form.get("reason") ?? "") })
}

const duration_words = "a duration looks like 45m, 1h30m or 2d"

export interface Question {
  readonly target: string
  readonly written: Written
  readonly problems: Problems
  /** Undefined when there are problems. */
  readonly body: z.output<typeof newRequest> | undefined
}

export function readQuestion(form: URLSearchParams): Question {
  const chosen = form.get("for") ?? ""
  const written: Written = {
    for: (chosen === "other" ? (form.get("other") ?? "") : chosen).trim(),
    as: form.getAll("as"),
    reason: oneLine(form.get("reason") ?? ""),
    actions: form.get("actions") ?? "",
    uses: (form.get("uses") ?? "").trim(),
    break_glass: form.get("break_glass") === "yes",
  }
  const target = form.get("target") ?? ""
  const problems: Partial<Record<Field, string>> = {}
  const duration_ms = parseDuration(written.for)
  if (duration_ms === undefined) problems.for = duration_words
  if (!/^\d{0,9}$/.test(written.uses)) problems.uses = "a whole number, or nothing"
  const actions = written.actions
    .split(/\r?\n/)
    .map((line) => line.trim())
    .filter((line) => line !== "")
  const parsed = newRequest.safeParse({
    target,
    duration_ms: duration_ms ?? 60_000,
    reason: written.reason,
    ...(written.as.length > 0 ? { as: written.as } : {}),
    ...(actions.length > 0 ? { actions } : {}),
    ...(written.break_glass ? { break_glass: true } : {}),
    ...(written.uses === "" || problems.uses ? {} : { uses: Number(written.uses) }),
  })
  for (const { path, message } of parsed.error?.issues ?? []) problems[fieldOf(path[0])] ??= message
  return { target, written, problems, body: Object.keys(problems).length === 0 ? parsed.data : undefined }
}

const fieldOf = (key: PropertyKey | undefined): Field =>
  key === "as" || key === "reason" || key === "actions" || key === "uses" ? key : "for"

function check<Schema extends z.ZodType>(schema: Schema, value: unknown): z.output<Schema> {
  const parsed = schema.safeParse(value)
  if (parsed.success) return parsed.data
  throw new GatewayError("invalid", { what: parsed.error.issues[0]?.message ?? "the form is not valid" }, parsed.error)
}
