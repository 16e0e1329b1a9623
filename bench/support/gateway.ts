// Sluice as its users run it: a child process, recording on, everything as the configuration has it by default.
import { resolve } from "node:path"
import { type Person, person } from "../../test/support/people.ts"
import { type Sluice, spawnSluice } from "../../test/support/sluice.ts"
import type { Section } from "../../test/support/sluice_config.ts"
import type { Settings } from "./settings.ts"

export interface BenchGateway {
  readonly sluice: Sluice
  readonly alice: Person
  readonly bob: Person
}

export async function startGateway(targets: readonly Section[], settings: Settings): Promise<BenchGateway> {
  const alice = person("alice", "engineers")
  const bob = person("bob", "oncall")
  const profile = settings.profile === undefined ? [] : ["--cpu-prof", `--cpu-prof-dir=${resolve(settings.profile)}`]
  return { sluice: await spawnSluice({ users: [alice, bob], targets, nodeArgs: profile }), alice, bob }
}
