// Examples of what rules should do, kept in a file beside the config: who asks for what and when, and what must come of it. Owns the
// reading of that file; whether it is so is tried by `sluice policy test`.
import { dirname, resolve } from "node:path"
import { formatDuration, parseDuration } from "../core/duration.ts"
import type { Action } from "../core/action.ts"
import { limits } from "../core/limits.ts"
import type { Millis } from "../core/clock.ts"
import { writtenAction } from "../core/written_action.ts"
import type { Config } from "./config.ts"
import { type Problem, Reading } from "./reading.ts"
import { readBounded } from "./references.ts"
import { part, type PolicyCaseFile } from "./schema.ts"
import { type Path, readYaml } from "./source.ts"

export interface PolicyCase {
  readonly name: string
  readonly line: number
  readonly who: string
  readonly groups: readonly string[]
  readonly target: string
  readonly as: readonly string[] | undefined
  readonly duration_ms: number
  readonly reason: string
  readonly actions: readonly string[] | undefined
  /** One action that is tried with the rules for actions, in place of access. */
  readonly action: Action | undefined
  /** When it is asked, and the later start that is asked for. */
  readonly at: Millis
  readonly starts_at: Millis | undefined
  readonly break_glass: boolean
  readonly proof: { readonly at: Millis; readonly acr: string | null } | null
  readonly expect: PolicyCaseFile["expect"]
}

export type PolicyCases =
  | { readonly ok: true; readonly cases: readonly PolicyCase[] }
  | { readonly ok: false; readonly problems: readonly Problem[] }

interface Around {
  readonly config: Config
  readonly now: Millis
  /** Throws with words for what is no time. */
  instant(text: string): Millis
}

/** Never throws for what the file says: that is `problems`, in file order. */
export async function loadPolicyCases(path: string, around: Around): Promise<PolicyCases> {
  let text: string
  try {
    text = await readBounded(resolve(path), limits.config_bytes_max)
  } catch (failure) {
    return { ok: false, problems: [{ file: path, line: 1, column: 1, message: (failure as Error).message }] }
  }
  const source = readYaml(text)
  const reading = await Reading.of(path, source, { folder: dirname(resolve(path)) })
  if (source.errors.length > 0) return { ok: false, problems: reading.problems }
  reading.section(part.policyCases, [])
  const cases = Array.from({ length: reading.countAt(["tests"]) }, (_, index): PolicyCase | undefined => {
    const at: Path = ["tests", index]
    const file = reading.section(part.policyCase, at)
    return file && readCase(reading, { ...around, at, file, line: source.placeOf(at).line })
  })
  if (reading.problems.length > 0) return { ok: false, problems: reading.problems }
  return { ok: true, cases: cases.filter((one) => one !== undefined) }
}

interface Placed extends Around {
  readonly at: Path
  readonly file: PolicyCaseFile
  readonly line: number
}

function readCase(reading: Reading, { config, now, instant, at, file, line }: Placed): PolicyCase {
  const user = config.identity.users.find(({ name }) => name === file.who)
  if (!user && !file.groups)
    reading.unknown([...at, "who"], "a user of the config (give its groups for somebody else)", namesOf(config.identity.users))
  if (!config.targets.some(({ name }) => name === file.target)) reading.unknown([...at, "target"], "a target", namesOf(config.targets))
  const duration_ms = readDuration(reading, [...at, "for"], file.for)
  if (duration_ms < limits.grant_ms_min || duration_ms > limits.grant_ms_max)
    reading.problem([...at, "for"], `from ${formatDuration(limits.grant_ms_min)} to ${formatDuration(limits.grant_ms_max)}`)
  const when = file.at === undefined ? now : readInstant(reading, [...at, "at"], { text: file.at, instant })
  const { name, who, target, reason, break_glass, login, expect } = file
  return {
    name,
    line,
    who,
    groups: file.groups ?? user?.groups ?? [],
    target,
    as: file.as === undefined ? undefined : [file.as].flat(),
    duration_ms,
    reason,
    action: readAction(reading, { config, at, file }),
    actions: file.actions === undefined ? undefined : [file.actions].flat(),
    at: when,
    starts_at: file.start === undefined ? undefined : readInstant(reading, [...at, "start"], { text: file.start, instant }),
    break_glass,
    proof: login ? { at: when - readDuration(reading, [...at, "login", "age"], login.age), acr: login.acr ?? null } : null,
    expect,
  }
}

/** Also that an example says what should come of it, and of what it is one: one that says nothing always holds. */
function readAction(reading: Reading, { config, at, file }: Pick<Placed, "config" | "at" | "file">): Action | undefined {
  const { action: text, expect } = file
  const { action: verdict, action_rule, ...of_access } = expect
  const said = Object.values(of_access).some((one) => one !== undefined)
  if (text === undefined) {
    if (verdict !== undefined || action_rule !== undefined)
      reading.problem([...at, "expect"], "action and action_rule are about an action: write which, as action: …")
    else if (!said) reading.problem([...at, "expect"], "say what should come of it: refused, rule, approve, by, count or as")
    return undefined
  }
  if (verdict === undefined && action_rule === undefined)
    reading.problem([...at, "expect"], "say what should come of it: action or action_rule")
  if (said) reading.problem([...at, "expect"], "of an action only action and action_rule can be expected")
  const target = config.targets.find(({ name }) => name === file.target)
  try {
    return target && writtenAction(target.protocol, text)
  } catch (failure) {
    reading.problem([...at, "action"], (failure as Error).message)
    return undefined
  }
}

const namesOf = (all: readonly { readonly name: string }[]): string[] => all.map(({ name }) => name)

function readDuration(reading: Reading, path: Path, text: string): number {
  const duration_ms = text === "0s" ? 0 : parseDuration(text)
  if (duration_ms === undefined) reading.problem(path, "expected a duration, such as 15m, 4h, 1h30m or 2d")
  return duration_ms ?? limits.grant_ms_min
}

function readInstant(
  reading: Reading,
  path: Path,
  { text, instant }: { readonly text: string; readonly instant: Around["instant"] },
): Millis {
  try {
    return instant(text)
  } catch (failure) {
    reading.problem(path, (failure as Error).message)
    return 0
  }
}
