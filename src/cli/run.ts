// Runs one line of verbs: commander's parsing with our output and our exit statuses (0 done, 1 refused or failed, 2 misuse).
import { Command, CommanderError } from "commander"
import type { AddVerb, Context } from "./context.ts"
import { tell } from "./failure.ts"

export interface Program {
  readonly name: string
  readonly description: string
  readonly verbs: readonly AddVerb[]
  /** What happens without a verb; left out: the help, as misuse. */
  otherwise?(): Promise<void>
}

export async function runVerbs(
  { name, description, verbs, otherwise }: Program,
  words: readonly string[],
  context: Context,
): Promise<number> {
  const { io } = context
  const program = new Command(name)
    .description(description)
    .exitOverride()
    .configureOutput({
      writeOut: (text) => io.write(text),
      writeErr: (text) => io.error(text),
      getOutHelpWidth: helpWidth,
      getErrHelpWidth: helpWidth,
    })
    .showHelpAfterError(`(${name} help lists the verbs, ${name} help <verb> says how one is used)`)
    // Beside --help, which ssh(1) takes for an option of its own: `ssh gateway --help` never leaves the person's machine.
    .helpCommand("help [verb...]", "the verbs, or how one is used")
  for (const add of verbs) add(program, context)
  function helpWidth(): number {
    return Math.min(io.columns, 120)
  }
  try {
    if (words.length === 0 && otherwise) await otherwise()
    else await program.parseAsync(words[0] === "help" ? [...words.slice(1), "--help"] : [...words], { from: "user" })
    return context.status
  } catch (failure) {
    if (failure instanceof CommanderError) return failure.exitCode === 0 ? 0 : 2
    if (io.signal.aborted) return 1
    return tell(context, failure, words.includes("--json"))
  }
}
