// What is different in another config, in words for the log, the audit log and whoever reloads. Names and numbers alone: never what a
// value is, because some are secret.
import type { Config } from "./config.ts"
import type { ConfigSource } from "./config_source.ts"
import { sameValue } from "./same_value.ts"

/** A config and what it was made from. */
export interface Sourced {
  readonly config: Config
  readonly source: ConfigSource
}

/** "users +1 -2 ~1": so many are new, gone, and not what they were. In the order of the file. */
export function configChanges(old: Sourced, next: Sourced): readonly string[] {
  const [before, after] = [old.config, next.config]
  const named = (what: string, of: (config: Config) => readonly { readonly name: string }[]): string | undefined =>
    listed(what, byName(of(before)), byName(of(after)))
  const other = (what: string, of: (config: Config) => unknown): string | undefined =>
    sameValue(of(before), of(after)) ? undefined : `${what} changed`
  const cas = (config: Config) => new Map(config.identity.ssh_cas.map((ca) => [ca.key.blob.toString("base64"), ca]))
  const words = [
    other("gateway.ask_with", ({ gateway }) => gateway.ask_with),
    other("gateway.tls", ({ gateway }) => gateway.tls),
    named("gateways", ({ approvals }) => approvals.gateways ?? []),
    named("users", ({ identity }) => identity.users),
    named("workloads", ({ identity }) => identity.workloads),
    listed("ssh CAs", cas(before), cas(after)),
    other("company login", ({ identity }) => identity.oidc),
    other("certificates", ({ identity: { certificate_ms, certificate_from } }) => [certificate_ms, certificate_from]),
    named("targets", ({ targets }) => targets),
    rulesOf(old) === rulesOf(next) ? undefined : "rules changed",
    other("administrators", ({ policy }) => policy.admins),
    other("auditors", ({ policy }) => policy.auditors),
    other("recordings", ({ recordings }) => recordings),
    named("notification channels", ({ notify }) => notify),
  ].filter((one) => one !== undefined)
  return words.length > 0 ? words : ["nothing but its text changed"]
}

/** As they are written: what a pattern matches cannot be compared. */
function rulesOf({ source }: Sourced): string {
  const { admins: _admins, auditors: _auditors, ...rules } = (source.written(["policy"]) ?? {}) as Record<string, unknown>
  return JSON.stringify(rules)
}

const byName = <T extends { readonly name: string }>(things: readonly T[]): ReadonlyMap<string, T> =>
  new Map(things.map((thing) => [thing.name, thing]))

function listed<T>(what: string, before: ReadonlyMap<string, T>, after: ReadonlyMap<string, T>): string | undefined {
  const added = [...after.keys()].filter((key) => !before.has(key)).length
  const removed = [...before.keys()].filter((key) => !after.has(key)).length
  const changed = [...after].filter(([key, value]) => before.has(key) && !sameValue(before.get(key), value)).length
  const counts = [added > 0 && `+${added}`, removed > 0 && `-${removed}`, changed > 0 && `~${changed}`].filter((one) => one !== false)
  return counts.length === 0 ? undefined : `${what} ${counts.join(" ")}`
}
