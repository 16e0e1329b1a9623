// The token that the local command line shows the approval service: fetched through ssh, kept for a few minutes in a file of one's own.
import { createHash } from "node:crypto"
import { mkdir, readFile, rename, rm, writeFile } from "node:fs/promises"
import { homedir } from "node:os"
import { join } from "node:path"
import { z } from "zod"
import type { Millis } from "../core/clock.ts"
import { Failure } from "./failure.ts"
import { askGateway, type Gateway } from "./gateway_ssh.ts"

/** Before its end a token is not shown any more: the call it is for takes time, and clocks differ. */
const margin_ms = 60_000

const proof = z.object({
  url: z.url({ protocol: /^https?$/ }),
  token: z.string().min(1),
  expires_at: z.number(),
  /** PEM of the CA that the service is trusted by, when it is the gateway's own. */
  ca: z.string().optional(),
})
export type Proof = z.infer<typeof proof>

export interface ProofOptions {
  readonly gateway: Gateway
  readonly now: Millis
  readonly signal: AbortSignal
}

/** The kept one while it is good, else a new one. Throws a Failure. */
export async function proveWhoIAm({ gateway, now, signal }: ProofOptions): Promise<Proof> {
  const path = fileFor(gateway)
  const kept = await read(path)
  if (kept && now < kept.expires_at - margin_ms) return kept
  const answer = await askGateway(gateway, ["token", "--api", "--json"], signal)
  const fresh = parsed(answer)
  if (!fresh)
    throw new Failure(`\`ssh ${gateway.join(" ")}\` does not answer as a gateway does`, "Is it the gateway, and not another host?")
  await keep(path, fresh)
  return fresh
}

/** For a proof that the service did not take. */
export const forgetProof = (gateway: Gateway): Promise<void> => rm(fileFor(gateway), { force: true })

const folder = (): string => join(process.env["XDG_CACHE_HOME"] || join(homedir(), ".cache"), "sluice")

/** One file a gateway; its name says nothing, because a gateway's words may be a path. */
const fileFor = (gateway: Gateway): string =>
  join(folder(), `${createHash("sha256").update(gateway.join("\0")).digest("hex").slice(0, 32)}.json`)

async function read(path: string): Promise<Proof | undefined> {
  try {
    return parsed(await readFile(path, "utf8"))
  } catch {
    return undefined // not there, or not ours to read: a new one is one ssh away
  }
}

function parsed(text: string): Proof | undefined {
  try {
    return proof.parse(JSON.parse(text))
  } catch {
    return undefined
  }
}

async function keep(path: string, fresh: Proof): Promise<void> {
  await mkdir(folder(), { recursive: true, mode: 0o700 })
  const unfinished = `${path}.${process.pid}`
  await writeFile(unfinished, JSON.stringify(fresh), { mode: 0o600 })
  await rename(unfinished, path)
}
