// Another config in the place of the one in use. It happens in a change of the store: changes come one after the other, so each of them
// sees one config, whole; and what follows for people (their groups, their logins, their grants) is in force and on record in the same
// step. When it cannot be put on record, the config stays the one it was.
import type { PersonStanding } from "../api/schema.ts"
import type { Config } from "../config/config.ts"
import type { CurrentConfig } from "../config/current_config.ts"
import { sameValue } from "../config/same_value.ts"
import type { Clock, Millis } from "../core/clock.ts"
import type { Log } from "../observe/log.ts"
import { byService, note } from "./journal.ts"
import { revokeGrants, takeBackRequests } from "./people/leaving.ts"
import { endLogin } from "./login/logins.ts"
import { People } from "./people/people.ts"
import type { Change, Store } from "./store.ts"

export interface ReloadingOptions {
  readonly store: Store
  readonly current: CurrentConfig
  /** Puts a config in the place that `current` answers from. */
  readonly replace: (config: Config) => void
  readonly clock: Clock
  readonly log: Log
}

/** What is told of a config, whether it could be used or not. */
export interface AboutConfig {
  /** Of the file; undefined when it could not be read. */
  readonly digest: string | undefined
  /** What is different, or what is wrong: no secret is in it. */
  readonly words: readonly string[]
}

interface Both {
  readonly before: People
  readonly after: People
  readonly now: Millis
}

export class Reloading {
  readonly #options: ReloadingOptions

  constructor(options: ReloadingOptions) {
    this.#options = options
  }

  /** Rejects when the store cannot keep it; the config is then the one it was. */
  async take(config: Config, { digest, words }: AboutConfig): Promise<void> {
    const { store, current, replace, clock } = this.#options
    const previous = current()
    try {
      await store.change(async (change) => {
        const now = clock.now()
        const detail = { digest, changes: words }
        await note(change, { at: now, kind: "config.reloaded", actor: byService, reason: words.join(", "), detail })
        const both = { before: this.#peopleOf(previous), after: this.#peopleOf(config), now }
        for (const name of changedNames(previous, config)) await this.#follow(change, name, both)
        replace(config)
      })
    } catch (failure) {
      replace(previous)
      throw failure
    }
  }

  /** Puts on record that a config was offered and not taken. */
  async refuse({ digest, words }: AboutConfig): Promise<void> {
    const { store, clock } = this.#options
    const detail = { digest, problems: words }
    await store.change((change) =>
      note(change, { at: clock.now(), kind: "config.refused", actor: byService, reason: words[0] ?? "", detail }),
    )
  }

  #peopleOf(config: Config): People {
    const { store, log } = this.#options
    return new People({ current: () => config, store, log })
  }

  async #follow(change: Change, subject: string, { before, after, now }: Both): Promise<void> {
    const was = await before.standing(subject, change)
    const is = await after.standing(subject, change)
    const told = was && !is ? removed : !was && is ? added : sameValue(was?.groups, is?.groups) ? undefined : otherGroups
    const leaving = { actor: byService, reason: told ?? otherProofs, now }
    if (told !== undefined) {
      // Gateways are told of it as of everything about a person.
      const standing: PersonStanding = is ?? { subject, groups: [], disabled: true, revision: 0 }
      const detail = { ...standing, revision: await change.nextSequence() }
      await note(change, { at: now, kind: "person.changed", actor: byService, reason: told, detail })
    }
    const known = is && (await after.find(subject, change))
    for (const login of await change.liveLogins(subject, now))
      if (!known || !after.speaksFor(login, known)) await endLogin(change, login, { actor: byService, why: leaving.reason, now })
    if (is || !was) return
    await takeBackRequests(this.#options.store, change, subject, leaving)
    await revokeGrants(this.#options.store, change, subject, leaving)
  }
}

const added = "the config has them now"
const removed = "the config does not have them any more"
const otherGroups = "their groups are others in the config"
const otherProofs = "the config does not have what it was proven with any more"

/** Whoever the two configs do not say the same of. */
function changedNames(before: Config, after: Config): readonly string[] {
  const said = ({ identity: { users, workloads } }: Config) =>
    new Map<string, unknown>([...users.map((user) => [user.name, user] as const), ...workloads.map((one) => [one.name, one] as const)])
  const [old, now] = [said(before), said(after)]
  return [...new Set([...old.keys(), ...now.keys()])].filter((name) => !sameValue(old.get(name), now.get(name)))
}
