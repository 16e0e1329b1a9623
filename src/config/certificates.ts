// Of the section `identity`: how long the certificates that people are given last, and from where they are good.
import { isIP } from "node:net"
import { parseDuration } from "../core/duration.ts"
import { limits } from "../core/limits.ts"
import type { IdentityConfig } from "./config.ts"
import type { Reading } from "./reading.ts"
import { part } from "./schema.ts"

export function readCertificates(reading: Reading): Pick<IdentityConfig, "certificate_ms" | "certificate_from"> {
  const shape = part.identity.pick({ certificate_for: true, certificate_from: true }).loose()
  // What does not fit its shape is reported with the section `identity`.
  const { data: file } = shape.safeParse(reading.at(["identity"]))
  if (!file) return { certificate_ms: limits.certificate_ms_default, certificate_from: [] }
  const certificate_ms = parseDuration(file.certificate_for) ?? 0
  if (certificate_ms < limits.certificate_ms_min || certificate_ms > limits.certificate_ms_max)
    reading.problem(["identity", "certificate_for"], "expected a duration from 1m to 7d, such as 12h")
  if (file.certificate_from.length > limits.certificate_networks_max)
    reading.problem(["identity", "certificate_from"], `at most ${limits.certificate_networks_max}`)
  for (const [index, network] of file.certificate_from.entries())
    if (!isNetwork(network))
      reading.problem(["identity", "certificate_from", index], "expected a network, such as 10.0.0.0/8 or 2001:db8::/32")
  return { certificate_ms, certificate_from: file.certificate_from }
}

function isNetwork(text: string): boolean {
  const [, address = "", prefix] = /^([0-9a-fA-F.:]+)(?:\/(\d{1,3}))?$/.exec(text) ?? []
  const version = isIP(address)
  return version !== 0 && Number(prefix ?? 0) <= (version === 4 ? 32 : 128)
}
