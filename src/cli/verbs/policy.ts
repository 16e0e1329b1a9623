// `sluice policy test`: tries the examples that are kept beside the config against its rules, without a service.
import { dirname, join } from "node:path"
import { differences, tryCase } from "../../approvals/policy_trial.ts"
import { StatementReader } from "../../classify/statement_reader.ts"
import { tryAction } from "../../classify/tried_action.ts"
import type { Config } from "../../config/config.ts"
import { loadPolicyCases, type PolicyCase } from "../../config/policy_cases.ts"
import type { Action } from "../../core/action.ts"
import { visible } from "../../core/visible.ts"
import { config_default, problemLines, readConfig } from "../config_file.ts"
import { jsonOption, show, type AddVerb, type JsonOption } from "../context.ts"
import { Failure } from "../failure.ts"
import { instant } from "../instant.ts"
import { addRehearse } from "./rehearse.ts"

interface Options extends JsonOption {
  readonly config: string
  readonly tests?: string
}

const tests_default = "policy_tests.yaml"

export const addPolicy: AddVerb = (program, context) => {
  const policy = program.command("policy").description("the rules for access and for actions")
  addRehearse(policy, context)
  policy
    .command("test")
    .description("try the examples beside the config against its rules; exit 1 when one does not hold")
    .option("--config <file>", "the config", config_default)
    .option("--tests <file>", `the examples; ${tests_default} beside the config unless told`)
    .option(...jsonOption)
    .action(async (options: Options) => {
      const config = await readConfig(options.config)
      const file = options.tests ?? join(dirname(options.config), tests_default)
      const loaded = await loadPolicyCases(file, { config, now: context.now(), instant })
      if (!loaded.ok) throw new Failure(problemLines(loaded.problems), "docs/rules.md shows what an example looks like.", { status: 2 })
      const reader = new StatementReader()
      const wrongIn = async (one: PolicyCase): Promise<string[]> =>
        one.action === undefined ? differences(one, tryCase(config, one)) : actionDifferences(config, { one, action: one.action, reader })
      const results = await Promise.all(loaded.cases.map(async (one) => ({ name: one.name, line: one.line, wrong: await wrongIn(one) })))
      await reader.close()
      const failed = results.filter(({ wrong }) => wrong.length > 0)
      if (failed.length > 0) context.status = 1
      show(context, options, { ok: failed.length === 0, tests: results }, () =>
        [
          ...results.flatMap(({ name, line, wrong }) => [
            `${wrong.length === 0 ? "ok    " : "WRONG "} ${visible(name)}`,
            ...wrong.map((words) => `       ${file}:${line}: ${visible(words)}`),
          ]),
          failed.length === 0 ? `${results.length} of ${results.length} hold.` : `${failed.length} of ${results.length} do not hold.`,
        ].join("\n"),
      )
    })
}

interface Acting {
  readonly one: PolicyCase
  readonly action: Action
  readonly reader: StatementReader
}

/** The same for an example of the rules for actions. */
async function actionDifferences(config: Config, { one, action, reader }: Acting): Promise<string[]> {
  const target = config.targets.find(({ name }) => name === one.target)
  if (!target) return [`there is no target ${one.target}`]
  const person = { name: one.who, groups: one.groups }
  const ruling = await tryAction(config, { person, target: one.target, as: one.as?.[0], action }, reader)
  const { action: verdict, action_rule } = one.expect
  const found = `${ruling?.verdict ?? "allow"}${ruling?.rule === undefined ? "" : ` by ${ruling.rule.name}`}`
  return [
    ...(verdict !== undefined && verdict !== ruling?.verdict ? [`action should be ${verdict}, and is ${found}`] : []),
    ...(action_rule !== undefined && action_rule !== ruling?.rule?.index
      ? [`action_rule should be ${action_rule}, and it is ${found}`]
      : []),
  ]
}
