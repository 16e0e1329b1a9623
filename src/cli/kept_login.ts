// The login of this machine's user, kept in a file of their own: a refresh token and the short-lived token of the moment. It owns the
// file and that only one process at a time exchanges the refresh token, because a second exchange looks like a thief's.
import { createHash } from "node:crypto"
import { mkdir, open, readFile, rename, rm, stat, writeFile } from "node:fs/promises"
import { homedir } from "node:os"
import { join } from "node:path"
import { setTimeout as sleep } from "node:timers/promises"
import { z } from "zod"
import { Failure } from "./failure.ts"
import { type Tokens, tokensOf } from "./oauth_client.ts"
import type { Service } from "./service.ts"

const kept = z.object({
  access_token: z.string(),
  /** Milliseconds since the Unix epoch. */
  expires_at: z.number(),
  refresh_token: z.string(),
  login_expires_at: z.number(),
})
export type KeptLogin = z.output<typeof kept>

/** Before its end a token is not shown any more: the call it is for takes time, and clocks differ. */
const margin_ms = 60_000
const lock_wait_ms = 15_000
const lock_look_ms = 50

const notLoggedIn = (): Failure => new Failure("you are not logged in, or your login has ended", "Log in: sluice login")

/** The login with a token that is good now. Throws a Failure when there is none. */
export async function useLogin(service: Service, signal: AbortSignal): Promise<KeptLogin> {
  const usable = ({ expires_at }: KeptLogin): boolean => Date.now() < expires_at - margin_ms
  const first = await readLogin(service)
  if (!first) throw notLoggedIn()
  if (usable(first)) return first
  return locked(service, async () => {
    const login = await readLogin(service) // another process may have exchanged it meanwhile
    if (!login) throw notLoggedIn()
    if (usable(login)) return login
    if (Date.now() >= login.login_expires_at) throw notLoggedIn()
    const fresh = await tokensOf(service, { grant_type: "refresh_token", refresh_token: login.refresh_token }, signal)
    if ("error" in fresh) {
      if (fresh.error !== "invalid_grant") throw new Failure(`the service refuses: ${fresh.words}`, "")
      await forgetLogin(service)
      throw notLoggedIn()
    }
    return keepLogin(service, fresh)
  })
}

export async function readLogin(service: Service): Promise<KeptLogin | undefined> {
  try {
    return kept.parse(JSON.parse(await readFile(fileFor(service), "utf8")))
  } catch {
    return undefined // not there, or not ours to read
  }
}

export async function keepLogin(service: Service, tokens: Tokens): Promise<KeptLogin> {
  const { access_token, expires_in, refresh_token, login_expires_at } = tokens
  const login: KeptLogin = { access_token, expires_at: Date.now() + expires_in * 1000, refresh_token, login_expires_at }
  await mkdir(folder(), { recursive: true, mode: 0o700 })
  const path = fileFor(service)
  const unfinished = `${path}.${process.pid}`
  await writeFile(unfinished, JSON.stringify(login), { mode: 0o600 })
  await rename(unfinished, path)
  return login
}

export const forgetLogin = (service: Service): Promise<void> => rm(fileFor(service), { force: true })

const folder = (): string => join(process.env["XDG_STATE_HOME"] || join(homedir(), ".local", "state"), "sluice")
const fileFor = ({ url }: Service): string => join(folder(), `login-${createHash("sha256").update(url).digest("hex").slice(0, 32)}.json`)

async function locked<T>(service: Service, work: () => Promise<T>): Promise<T> {
  const path = `${fileFor(service)}.lock`
  const until = Date.now() + lock_wait_ms
  for (;;) {
    const file = await open(path, "wx", 0o600).catch((failure: NodeJS.ErrnoException) => {
      if (failure.code !== "EEXIST") throw failure
    })
    if (file) {
      await file.close()
      break
    }
    // Whoever made it and died has left it behind.
    const age_ms = Date.now() - (await stat(path).catch(() => ({ mtimeMs: Date.now() }))).mtimeMs
    if (age_ms > lock_wait_ms) await rm(path, { force: true })
    else if (Date.now() > until) throw new Failure("another sluice is renewing your login and does not end", `If none runs: rm ${path}`)
    else await sleep(lock_look_ms)
  }
  try {
    return await work()
  } finally {
    await rm(path, { force: true })
  }
}
