// The verbs over `ssh gateway <verb>`: for somebody the gateway has identified, with nothing installed. Each run gets a token of its
// own for the approval service and calls it as that person, so that what they may do is decided in the one place that decides it.
import type { ApiClient } from "../api/client.ts"
import type { TokenAnswer, TokenWanted } from "../api/schema.ts"
import type { Config } from "../config/config.ts"
import type { CurrentConfig } from "../config/current_config.ts"
import type { Identity } from "../core/identity.ts"
import type { Keys } from "../core/keys.ts"
import type { ProtocolName } from "../core/target.ts"
import type { Verbs } from "../gateway/contract.ts"
import { readCa } from "./verbs/ca.ts"
import { jsonOption, show, type AddVerb, type Context, type JsonOption } from "./context.ts"
import { freshToken } from "./fresh_token.ts"
import { overview } from "./overview.ts"
import { pgService } from "./pg_service.ts"
import { addRotate } from "./verbs/rotate.ts"
import { addTargetCa } from "./verbs/target_ca.ts"
import { runVerbs } from "./run.ts"
import { sshConfig, sshConfigText } from "./ssh_config.ts"
import { addMintedToken } from "./verbs/token.ts"
import { sharedVerbs } from "./verbs.ts"
import { until } from "./words.ts"
import { askWith, waysIn } from "../config/ways_in.ts"

export interface VerbsOptions {
  readonly current: CurrentConfig
  readonly keys: Keys
  /** With the gateway's key. */
  readonly gatewayApi: ApiClient
  /** Where people's own command line reaches the service. */
  readonly apiUrl: string
}

export function createVerbs(options: VerbsOptions): Verbs {
  const { current, keys, gatewayApi, apiUrl } = options
  return async (identity, words, io) => {
    const config = current()
    const ways = waysIn(config, identity.subject)
    const mint = (wanted: Pick<TokenWanted, "use" | "target">): Promise<TokenAnswer> => mintFor(gatewayApi, identity, wanted)
    const credential = freshToken(() => mint({ use: "api" }), Date.now)
    /** Who may not have a token hears so before anything is called. */
    const connect = async (): Promise<ApiClient> => credential().then(() => gatewayApi.as(credential))
    let api: Promise<ApiClient> | undefined
    const context: Context = {
      io,
      call: ways.askWith,
      callOfOthers: askWith(config, undefined),
      now: Date.now,
      useLine: (target, account) => ways.useLine(target, account),
      pageOf: (request) => `${apiUrl}/requests/${request}`,
      status: 0,
      api: () => (api ??= connect()),
    }
    const verbs: AddVerb[] = [
      ...sharedVerbs,
      (program) => addMintedToken(program, context, { mint, apiUrl, ca: () => caOf(config, apiUrl) }),
      (program) => {
        program
          .command("login")
          .description("a link that signs a browser in to the pages, once")
          .option(...jsonOption)
          .action(async (given: JsonOption) => {
            const { subject, via } = identity
            const link = await gatewayApi.call("link", { body: { subject, via } }, { signal: io.signal })
            show(
              context,
              given,
              link,
              () => `${link.url}\nOpen it in your browser; it works once, until ${until(link.expires_at, context.now())}.`,
            )
          })
      },
      (program) => {
        program
          .command("ssh-config")
          .description("what to paste into ~/.ssh/config and ~/.ssh/known_hosts")
          .option(...jsonOption)
          .action(async (given: JsonOption) => {
            const made = await sshConfig({ config, keys, targets: await knownTargets(context, "ssh", "tcp") })
            show(context, given, made, () => sshConfigText(made))
          })
      },
      (program) => {
        program
          .command("pg-service")
          .description("what to paste into ~/.pg_service.conf")
          .action(async () => io.write(`${pgService(config, await knownTargets(context, "postgres"), ways.askWith)}\n`))
      },
      (program) => {
        const ca = program.command("ca")
        addRotate(ca, context)
        addTargetCa(ca, context)
        ca.description("the certificate to trust for TLS to this gateway (curl --cacert, psql sslrootcert)").action(async () =>
          io.write(await readCa(config)),
        )
      },
    ]
    const program = { name: ways.askWith, description: `${config.gateway.name}: ask for access, decide, and see what was done.`, verbs }
    return runVerbs({ ...program, otherwise: () => overview(context) }, joined(words), context)
  }
}

const joining: ReadonlySet<string> = new Set(["--reason", "--action", "--at"])

/** The person's own shell took the quotes away, so a reason or an action comes as several words: all up to the next option are one. */
function joined(words: readonly string[]): string[] {
  const whole: string[] = []
  let open = false // the words now belong to one value
  for (const [at, word] of words.entries()) {
    if (word.startsWith("--")) open = false
    if (open) whole.push(`${whole.pop()} ${word}`)
    else whole.push(word)
    if (joining.has(words[at - 1] ?? "") && !word.startsWith("--")) open = true
  }
  return whole
}

const mintFor = (
  gatewayApi: ApiClient,
  { subject, via, login }: Identity,
  wanted: Pick<TokenWanted, "use" | "target">,
): Promise<TokenAnswer> => gatewayApi.call("token", { body: { subject, via, ...(login === undefined ? {} : { login }), ...wanted } })

/** Those the person may ask for. Other names are not theirs to know. */
async function knownTargets(context: Context, ...protocols: readonly ProtocolName[]): Promise<string[]> {
  const { targets } = await (await context.api()).call("targets", {}, { signal: context.io.signal })
  return targets.filter((target) => protocols.includes(target.protocol)).map((target) => target.name)
}

/** The gateway's own CA, when it is this gateway by which `url` is reached. */
async function caOf(config: Config, url: string): Promise<string | undefined> {
  const { hostname, protocol } = new URL(url)
  const here = protocol === "https:" && [config.gateway.name, config.gateway.http?.domain].includes(hostname)
  return here && config.gateway.tls === undefined ? readCa(config) : undefined
}
