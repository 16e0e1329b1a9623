// `sluice policy rehearse`: what rules for actions that are not in force yet would have done to what was recorded.
import { StatementReader } from "../../classify/statement_reader.ts"
import { tryAction } from "../../classify/tried_action.ts"
import type { Config } from "../../config/config.ts"
import type { Verdict } from "../../core/action_rules.ts"
import type { Action } from "../../core/action.ts"
import { recentAction } from "../../gateway/actions/shown_action.ts"
import { visible } from "../../core/visible.ts"
import { recordingsSince } from "../../record/all.ts"
import type { SessionHeader } from "../../record/events.ts"
import { readRecording, RecordingError } from "../../record/read.ts"
import { config_default, readConfig } from "../config_file.ts"
import { jsonOption, show, type AddVerb, type JsonOption } from "../context.ts"
import { duration } from "../ids.ts"
import { table } from "../table.ts"

interface Options extends JsonOption {
  readonly config: string
  readonly since: number
}

/** So many actions of one person on one target, to which one rule says the same. */
interface Count {
  readonly rule: string
  readonly verdict: Verdict
  readonly who: string
  readonly target: string
  count: number
  /** The first of them. */
  readonly example: string
}

interface Rehearsal {
  readonly counts: Map<string, Count>
  sessions: number
  actions: number
  unreadable: number
}

const heads = ["RULE", "VERDICT", "WHO", "TARGET", "TIMES", "FOR INSTANCE"]

export const addRehearse: AddVerb = (program, context) => {
  program
    .command("rehearse")
    .argument("<new.yaml>", "the config with the new rules")
    .description("what its rules for actions would have done to the actions that are on record")
    .option("--config <file>", "the config whose recordings are looked through", config_default)
    .option("--since <duration>", "only what was done within this time", duration, 30 * 24 * 3_600_000)
    .option(...jsonOption)
    .action(async (file: string, options: Options) => {
      const [now, next] = [await readConfig(options.config), await readConfig(file)]
      const since = context.now() - options.since
      const { counts, ...looked } = await rehearse(next, now.recordings.dir, since)
      const found = [...counts.values()].sort((one, other) => other.count - one.count)
      show(context, options, { ...looked, found }, () =>
        [
          table(
            heads,
            found.map((one) => [one.rule, one.verdict, visible(one.who), visible(one.target), String(one.count), visible(one.example)]),
            { columns: context.io.columns, nothing: "No rule would have held, denied or flagged anything." },
          ),
          "",
          `${looked.actions} actions of ${looked.sessions} sessions were looked at.`,
          ...(looked.unreadable > 0 ? [`${looked.unreadable} recordings could not be read to their end.`] : []),
        ].join("\n"),
      )
    })
}

async function rehearse(config: Config, dir: string, since: number): Promise<Rehearsal> {
  const reader = new StatementReader()
  const rehearsal: Rehearsal = { counts: new Map(), sessions: 0, actions: 0, unreadable: 0 }
  try {
    for await (const path of recordingsSince(dir, since)) await replay(path, { config, reader, since, rehearsal })
  } finally {
    await reader.close()
  }
  return rehearsal
}

interface Replaying {
  readonly config: Config
  readonly reader: StatementReader
  readonly since: number
  readonly rehearsal: Rehearsal
}

/** What was denied then is no surprise now, so only what was allowed is looked at. */
async function replay(path: string, { config, reader, since, rehearsal }: Replaying): Promise<void> {
  let session: SessionHeader | undefined
  try {
    for await (const line of readRecording(path, { onGap: () => {} })) {
      if (line.kind === "session") {
        session = line
        rehearsal.sessions++
      }
      if (line.kind !== "action" || line.verdict !== "allow" || line.t < since || !session) continue
      rehearsal.actions++
      const { subject, groups, target, as } = session
      const person = { name: subject, groups }
      const ruling = await tryAction(config, { person, target, as: as ?? undefined, action: line.action }, reader)
      if (ruling?.rule === undefined || ruling.verdict === "allow") continue
      const key = JSON.stringify([ruling.rule.name, ruling.verdict, subject, target])
      const known = rehearsal.counts.get(key)
      if (known) known.count++
      else {
        const { verdict, rule } = ruling
        rehearsal.counts.set(key, { rule: rule.name, verdict, who: subject, target, count: 1, example: exampleOf(line.action) })
      }
    }
  } catch (failure) {
    if (!(failure instanceof RecordingError)) throw failure
    rehearsal.unreadable++
  }
}

function exampleOf(action: Action): string {
  const text = recentAction(action)
  return text.length > 60 ? `${text.slice(0, 60)}…` : text
}
