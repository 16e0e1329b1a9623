// `npm run bench -- postgres|postgres-bulk|postgres-sessions|ssh|ssh-echo|ssh-sessions|ssh-rekey|http|cut|decide|store|revoke [--rounds 5] [--seconds 4] [--profile folder]`: one question each, everything on loopback and
// on this machine, what users would pick instead in the same run. Owns the command line and the printing.
import { parseArgs } from "node:util"
import type { Settings } from "./support/settings.ts"
import { machine } from "./support/machine.ts"

const questions = {
  postgres: () => import("./postgres.ts"),
  "postgres-bulk": () => import("./postgres_bulk.ts"),
  "postgres-sessions": () => import("./postgres_sessions.ts"),
  ssh: () => import("./ssh.ts"),
  "ssh-echo": () => import("./ssh_echo.ts"),
  "ssh-sessions": () => import("./ssh_sessions.ts"),
  "ssh-rekey": () => import("./ssh_rekey.ts"),
  http: () => import("./http.ts"),
  cut: () => import("./cut.ts"),
  decide: () => import("./decide.ts"),
  store: () => import("./store.ts"),
  revoke: () => import("./revoke.ts"),
} as const satisfies Record<string, () => Promise<{ measure(settings: Settings): Promise<void> }>>

const names = Object.keys(questions) as (keyof typeof questions)[]

async function main(): Promise<number> {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: { rounds: { type: "string" }, seconds: { type: "string" }, profile: { type: "string" } },
  })
  const wanted = names.filter((name) => positionals.includes(name))
  if (wanted.length === 0 || wanted.length !== positionals.length) {
    console.error(`usage: npm run bench -- ${names.join("|")} [--rounds 5] [--seconds 4] [--profile folder]`)
    return 2
  }
  console.log(machine())
  for (const name of wanted) {
    const { measure } = await questions[name]()
    await measure({
      rounds: Number(values.rounds ?? 5),
      seconds: Number(values.seconds ?? 4),
      profile: values.profile,
    })
  }
  return 0
}

try {
  process.exitCode = await main()
} catch (failure) {
  console.error(failure instanceof Error ? failure.message : failure)
  process.exitCode = 1
}
