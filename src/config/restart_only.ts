// What a running Sluice cannot take from a new config: where it listens and keeps things, and by which names others know it. It owns
// the list; everything that is not on it changes with a reload.
import type { Config } from "./config.ts"
import type { ConfigSource } from "./config_source.ts"
import type { Problem } from "./reading.ts"
import { sameValue } from "./same_value.ts"
import type { Path } from "./source.ts"

const fixed: readonly { readonly path: Path; of(config: Config): unknown }[] = [
  { path: ["state"], of: ({ state }) => state },
  { path: ["gateway", "name"], of: ({ gateway }) => gateway.name },
  { path: ["gateway", "ssh", "listen"], of: ({ gateway }) => gateway.ssh?.listen },
  { path: ["gateway", "postgres", "listen"], of: ({ gateway }) => gateway.postgres?.listen },
  { path: ["gateway", "http", "listen"], of: ({ gateway }) => gateway.http?.listen },
  { path: ["gateway", "http", "domain"], of: ({ gateway }) => gateway.http?.domain },
  { path: ["gateway", "health", "listen"], of: ({ gateway }) => gateway.health?.listen },
  { path: ["gateway", "workers"], of: ({ gateway }) => gateway.workers },
  { path: ["approvals", "listen"], of: ({ approvals }) => approvals.listen },
  { path: ["approvals", "url"], of: ({ approvals }) => approvals.url },
  { path: ["approvals", "public_url"], of: ({ approvals }) => approvals.public_url },
  { path: ["approvals", "store"], of: ({ approvals }) => approvals.store },
  { path: ["approvals", "gateway_key"], of: ({ approvals }) => approvals.gateway_key },
  // By which key this gateway is known: it signs with its own from its start on, or does not.
  { path: ["approvals", "gateways"], of: ({ approvals, gateway }) => signs(approvals.gateways, gateway.name) },
  // Everybody who came by the provider before would be nobody.
  { path: ["identity", "oidc", "issuer"], of: ({ identity }) => identity.oidc && { issuer: identity.oidc.issuer } },
  { path: ["recordings", "store"], of: ({ recordings }) => recordings.dir },
]

/** A problem for each thing that is another one in `after` and takes a restart, in file order; `source`: what `after` was made from. */
export function needsRestart(before: Config, after: Config, source: ConfigSource): readonly Problem[] {
  const changed = fixed.filter(({ path, of }) => !sameValue(of(before), of(after)) && !isFirstProvider(path, before))
  const written = changed.filter(({ path }) => source.written(path) !== undefined)
  // What the file does not say follows from what it does; that alone is to be told, unless it was taken out.
  const told = written.length > 0 ? written : changed
  const problems = told.map(({ path }) => ({
    file: source.path,
    ...source.placeOf(path),
    message: `${path.join(".")} cannot change while sluice runs: it takes a restart`,
  }))
  return problems.toSorted((a, b) => a.line - b.line || a.column - b.column)
}

const signs = (gateways: Config["approvals"]["gateways"], name: string): boolean =>
  gateways?.some((one) => one.name === name && one.key !== undefined) ?? false

const isFirstProvider = (path: Path, { identity }: Config): boolean => path[1] === "oidc" && identity.oidc === undefined
