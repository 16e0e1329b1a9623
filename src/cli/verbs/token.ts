// `ssh gateway token`: a short-lived token for the person who came by ssh. It is the only thing on standard output, so that it can be
// used as $(ssh gateway token orders).
import type { Command } from "commander"
import type { TokenWanted } from "../../api/schema.ts"
import { visibleJson } from "../../core/visible.ts"
import { jsonOption, type Context, type JsonOption } from "../context.ts"
import { until } from "../words.ts"

export interface TokenOptions extends JsonOption {
  readonly for?: string
  readonly api?: true
}

/** The same words on both sides; what they do differs. */
export function tokenCommand(program: Command): Command {
  return program
    .command("token")
    .argument("[target]", "the one target it is good for; left out: each one you have a grant for")
    .description("a short-lived token: a database password, a bearer token")
    .option("--for <target>", "the same as the argument")
    .option("--api", "a token for the approval service instead")
    .option(...jsonOption)
}

export interface Minter {
  mint(wanted: Pick<TokenWanted, "use" | "target">): Promise<{ readonly token: string; readonly expires_at: number }>
  /** Where the approval service is reached. */
  readonly apiUrl: string
  /** PEM of the CA it is trusted by, when that is the gateway's own. */
  ca?(): Promise<string | undefined>
}

export function addMintedToken(program: Command, context: Context, minter: Minter): void {
  const command = tokenCommand(program)
  command.action((argument: string | undefined, options: TokenOptions) => printToken(command, { context, argument, options, minter }))
}

export interface TokenLine {
  readonly context: Context
  readonly argument: string | undefined
  readonly options: TokenOptions
  readonly minter: Minter
}

export async function printToken(command: Command, { context, argument, options, minter }: TokenLine): Promise<void> {
  const target = argument ?? options.for
  const many = argument !== undefined && options.for !== undefined && argument !== options.for
  if (many || (options.api && target !== undefined)) command.error("error: a token is for one target, or for --api")
  const use = options.api ? "api" : target === undefined ? "targets" : "target"
  const { token, expires_at } = await minter.mint({ use, ...(target === undefined ? {} : { target }) })
  const ca = options.api ? await minter.ca?.() : undefined
  const service = { url: minter.apiUrl, ...(ca === undefined ? {} : { ca }) }
  if (options.json) context.io.write(`${visibleJson({ token, expires_at, ...(options.api ? service : {}) })}\n`)
  else {
    context.io.error(`good until ${until(expires_at, context.now())}\n`)
    context.io.write(`${token}\n`)
  }
}
