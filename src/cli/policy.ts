// `sluice policy test`: tries the examples that are kept beside the config against its rules, without a service.
import { dirname, join } from "node:path"
import { differences, tryCase } from "../approvals/policy_trial.ts"
import { loadPolicyCases } from "../config/policy_cases.ts"
import { visible } from "../core/visible.ts"
import { config_default, problemLines, readConfig } from "./config_file.ts"
import { jsonOption, show, type AddVerb, type JsonOption } from "./context.ts"
import { Failure } from "./failure.ts"
import { instant } from "./instant.ts"

interface Options extends JsonOption {
  readonly config: string
  readonly tests?: string
}

const tests_default = "policy_tests.yaml"

export const addPolicy: AddVerb = (program, context) => {
  program
    .command("policy")
    .description("the access rules")
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
      const results = loaded.cases.map((one) => ({ name: one.name, line: one.line, wrong: differences(one, tryCase(config, one)) }))
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
