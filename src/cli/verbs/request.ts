// `sluice request`: asks for a target, and with --wait stays until somebody has decided.
import { Option } from "commander"
import { answer, decided } from "../asked.ts"
import { jsonOption, show, type AddVerb, type JsonOption } from "../context.ts"
import { Failure } from "../failure.ts"
import { count, duration } from "../ids.ts"
import { instant } from "../instant.ts"

interface Options extends JsonOption {
  readonly for: number
  readonly reason: string
  readonly as?: readonly string[]
  readonly at?: number
  readonly start?: "approval" | "first-use"
  readonly useBy?: number
  readonly action?: readonly string[]
  readonly uses?: number
  readonly breakGlass?: true
  readonly wait?: true
}

const help = `
An action is, by the target's kind:
  PostgreSQL  the exact SQL; "pattern:DELETE FROM t WHERE id = *" (* is one number, plain string or parameter)
  SSH         the exact command; "systemctl restart *" (* is part of one word; "exact:ls *" means the character)
              a forward: "forward 10.0.0.9:6379", "forward remote localhost:8080", "forward agent"
  HTTP        a method and path: "GET /api/orders", "GET,HEAD /api/*", "WEBSOCKET /live"
  any         "sha256:…", the digest of its text
`

export const addRequest: AddVerb = (program, context) => {
  program
    .command("request")
    .argument("<target>", "its name")
    .description("ask for a target")
    .requiredOption("--for <duration>", "how long, such as 30m, 1h, 2d", duration)
    .option("--reason <words>", "why; those who approve read it", "")
    .option("--as <account>", "a login or role; may be repeated, left out: all that the rule allows", collect)
    .option("--action <text>", "only this action; may be repeated", collect)
    .option("--uses <count>", "only so many actions", count)
    .option("--at <time>", 'start later, such as 2026-01-15T14:00Z or "2026-01-15T14:00 Europe/Berlin"', instant)
    .addOption(new Option("--start <when>", "begin when it is approved, or with its first use").choices(["approval", "first-use"]))
    .option("--use-by <duration>", "with --start first-use: over when it is not used within this time, such as 8h", duration)
    .option("--break-glass", "at once, without an approval: everybody concerned is told, and somebody else reviews what you did")
    .option("--wait", "until somebody has decided; Ctrl-C takes the request back")
    .option(...jsonOption)
    .addHelpText("after", help)
    .action(async (target: string, options: Options) => {
      const { as, action, uses, at } = options
      const first_use_within_ms = firstUse(options)
      const body = {
        target,
        duration_ms: options.for,
        reason: options.reason,
        ...(as ? { as: [...as] } : {}),
        ...(action ? { actions: [...action] } : {}),
        ...(uses === undefined ? {} : { uses }),
        ...(at === undefined ? {} : { starts_at: at }),
        ...(first_use_within_ms === undefined ? {} : { first_use_within_ms }),
        ...(options.breakGlass ? { break_glass: true } : {}),
      }
      const asked = await (await context.api()).call("ask", { body }, { signal: context.io.signal })
      const request = options.wait && asked.status === "pending" ? await decided(context, asked) : asked
      if (request.status !== "approved" && (options.wait || request.status !== "pending")) context.status = 1
      show(context, options, request, () => answer(context, request))
    })
}

function firstUse({ start, useBy }: Options): number | undefined {
  if ((start === "first-use") === (useBy !== undefined)) return useBy
  const advice = "A grant that waits for its first use has a deadline for it: --start first-use --use-by 8h"
  throw new Failure(useBy === undefined ? "--start first-use needs --use-by" : "--use-by needs --start first-use", advice, { status: 2 })
}

const collect = (value: string, before: readonly string[] = []): readonly string[] => [...before, value]
