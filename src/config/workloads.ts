// The list `identity.workloads`: machines that log in with the token of their platform, and what such a token must say.
import { parseDuration } from "../core/duration.ts"
import { limits } from "../core/limits.ts"
import type { ClaimValue, User, Workload } from "./config.ts"
import { groupsOf, isName } from "./people.ts"
import type { Reading } from "./reading.ts"
import { part, type WorkloadFile } from "./schema.ts"
import type { Path } from "./source.ts"

export function readWorkloads(reading: Reading, users: readonly User[]): Workload[] {
  const list: Path = ["identity", "workloads"]
  const workloads: Workload[] = []
  for (let index = 0; index < reading.countAt(list); index++) {
    const path = [...list, index]
    const file = reading.section(part.workload, path)
    if (!file) continue
    checkNames(reading, path, { file, users, before: workloads })
    checkUrl(reading, [...path, "issuer"], file.issuer)
    if (file.jwks !== undefined) checkUrl(reading, [...path, "jwks"], file.jwks)
    const match = readMatch(reading, [...path, "match"], file.match)
    const [max_age_ms, login_ms] = [
      readDuration(reading, [...path, "max_age"], file.max_age),
      readDuration(reading, [...path, "login_for"], file.login_for),
    ]
    const { name, issuer, audience, jwks, ca } = file
    workloads.push({ name, groups: [...new Set(file.groups)], issuer, audience, match, jwks, ca, max_age_ms, login_ms })
  }
  return workloads
}

/** As a name of a person, and with the slash that repositories have. */
const isWorkloadName = (text: string): boolean => !text.startsWith("/") && isName(text.replaceAll("/", "-"))

interface Naming {
  readonly file: WorkloadFile
  readonly users: readonly User[]
  readonly before: readonly Workload[]
}

/** A workload is nobody else, and no group of its is people's: a rule that means people must not come to mean a machine. */
function checkNames(reading: Reading, path: Path, { file, users, before }: Naming): void {
  if (!isWorkloadName(file.name)) reading.problem([...path, "name"], "letters, digits and . _ @ + : - / make a name")
  const taken = [...users.map(({ name }) => name), ...groupsOf(users), ...before.flatMap(({ name, groups }) => [name, ...groups])]
  if (taken.some((name) => name.toLowerCase() === file.name.toLowerCase()))
    reading.problem([...path, "name"], `${reading.written([...path, "name"])} is the name of somebody else, or of a group`)
  const people = new Set([...groupsOf(users), ...users.map(({ name }) => name)].map((name) => name.toLowerCase()))
  for (const [index, group] of file.groups.entries()) {
    const at = [...path, "groups", index]
    if (!isName(group)) reading.problem(at, "letters, digits and . _ @ + : - make a name")
    else if (people.has(group.toLowerCase())) reading.problem(at, `${reading.written(at)} is people's: give machines groups of their own`)
  }
}

/** What decides who a machine is is not asked over a network in clear; of this machine itself it may be (tests). */
function checkUrl(reading: Reading, path: Path, text: string): void {
  try {
    // An issuer has a path where a platform serves many; keys always have one.
    const { protocol, hostname } = new URL(text)
    const loopback = /^(localhost|127\.\d+\.\d+\.\d+|\[::1\])$/.test(hostname)
    if (protocol !== "https:" && !(protocol === "http:" && loopback)) throw new Error("https:// is needed")
    if (/[?#\s]/.test(text)) throw new Error("a URL without a query is needed")
  } catch (failure) {
    reading.problem(path, failure instanceof TypeError ? "expected a URL: https://…" : (failure as Error).message)
  }
}

function readMatch(reading: Reading, path: Path, written: WorkloadFile["match"]): Workload["match"] {
  const claims = Object.entries(written)
  if (claims.length === 0) reading.problem(path, "at least one claim: else everybody at that issuer would be this workload")
  return Object.fromEntries(
    claims.map(([claim, value]): [string, readonly ClaimValue[]] => {
      const values = Array.isArray(value) ? value : [value]
      if (values.some((one) => typeof one === "string" && /^\**$/.test(one)))
        reading.problem([...path, claim], "a star alone, or nothing, matches whatever comes: write what the claim must be")
      return [claim, values]
    }),
  )
}

function readDuration(reading: Reading, path: Path, text: string): number {
  const duration_ms = parseDuration(text)
  if (duration_ms === undefined || duration_ms < limits.workload_login_ms_min || duration_ms > limits.workload_token_ms_max)
    reading.problem(path, "expected a duration from 1m to 24h, such as 1h")
  return duration_ms ?? 0
}
