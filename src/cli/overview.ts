// `ssh gateway` without a verb: who you are here, what you have, what waits for you, and the lines to go on with.
import type { GrantView, RequestView, Whoami } from "../api/schema.ts"
import { visible } from "../core/visible.ts"
import type { Context } from "./context.ts"
import { grantTable } from "./verbs/grants.ts"
import { requestTable } from "./verbs/requests.ts"

export async function overview(context: Context): Promise<void> {
  const { io } = context
  const api = await context.api()
  const { signal } = io
  const [me, { grants }, { requests }] = await Promise.all([
    api.call("whoami", {}, { signal }),
    api.call("grants", { query: {} }, { signal }),
    api.call("requests", { query: { status: "pending" } }, { signal }),
  ])
  io.write(`${[greeting(me), mine(context, me, grants), waiting(context, me, requests), lines(context)].flat().join("\n")}\n`)
}

const greeting = ({ subject, groups, admin }: Whoami): string =>
  `You are ${visible(subject)}${groups.length === 0 ? "" : ` (${visible(groups.join(", "))})`}${admin ? ", an administrator" : ""}.`

function mine(context: Context, { subject }: Whoami, grants: readonly GrantView[]): string[] {
  const own = grants.filter((grant) => grant.subject === subject)
  if (own.length === 0) return ["", "You have no access to anything now."]
  const uses = own.map((grant) => context.useLine(grant.target, grant.as?.[0])).filter((line) => line !== undefined)
  return ["", "Your grants", grantTable(own, context.now(), context.io.columns), ...(uses.length === 0 ? [] : ["", ...new Set(uses)])]
}

function waiting({ call, io, now }: Context, { subject }: Whoami, requests: readonly RequestView[]): string[] {
  const part = (title: string, some: readonly RequestView[]): string[] =>
    some.length === 0 ? [] : ["", title, requestTable(some, now(), io.columns)]
  const decide = requests.filter((request) => request.may_decide)
  return [
    ...part(
      "Your requests that wait",
      requests.filter((request) => request.subject === subject),
    ),
    ...part("Waiting for you", decide),
    ...(decide.length === 0 ? [] : [`${call} approve ${decide[0]!.id}`, `${call} deny ${decide[0]!.id} --reason "…"`]),
  ]
}

const lines = ({ call }: Context): string[] => [
  "",
  `${call} targets                                   what you may ask for`,
  `${call} request <target> --for 1h --reason "…"    ask for it`,
  `${call} help                                      everything else`,
]
