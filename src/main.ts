#!/usr/bin/env node
// The `sluice` command: verbs, nothing else. Each has its own file in `cli/`; only this file knows the list of protocols.
import { addCertificate, bringCertificates } from "./cli/verbs/certificate.ts"
import { addBackup } from "./cli/verbs/backup.ts"
import { addCheck } from "./cli/verbs/check.ts"
import { addConnectVerbs } from "./cli/verbs/connect_verbs.ts"
import type { Io } from "./cli/context.ts"
import { addGatewayKey } from "./cli/verbs/gateway_key.ts"
import { addLocalToken, localContext, type Places } from "./cli/local.ts"
import { addLogin } from "./cli/verbs/login.ts"
import { addPolicy } from "./cli/verbs/policy.ts"
import { addReload } from "./cli/verbs/reload_verb.ts"
import { addReplay } from "./cli/verbs/replay.ts"
import { runVerbs } from "./cli/run.ts"
import { addStart } from "./cli/verbs/start_verb.ts"
import { sharedVerbs } from "./cli/verbs.ts"
import { addWorker } from "./cli/verbs/worker_verb.ts"
import { version } from "./observe/version.ts"

const interrupted = new AbortController()
const io: Io = {
  write: (text) => void process.stdout.write(text),
  error: (text) => void process.stderr.write(text),
  signal: interrupted.signal,
  columns: process.stdout.isTTY ? process.stdout.columns : Infinity,
}
// A reader that has seen enough (`sluice sessions | head`) is not a failure.
process.stdout.on("error", (failure: NodeJS.ErrnoException) => process.exit(failure.code === "EPIPE" ? 0 : 1))

const words = process.argv.slice(2)
// `start` and its workers handle signals themselves. Elsewhere the first Ctrl-C lets a verb clean up, the second ends it.
if (words[0] !== "start" && words[0] !== "worker") {
  process.once("SIGINT", () => {
    interrupted.abort()
    process.once("SIGINT", () => process.exit(130))
  })
}

const protocols = async () => (await import("../protocols/index.ts")).protocols

let places: Places = {}
const local = localContext(io, () => places)
const status = await runVerbs(
  {
    name: "sluice",
    description: "An identity-aware access proxy: ask for access, decide about it, see what was done.",
    verbs: [
      (program) => {
        program
          .version(`${version} (Node ${process.versions.node})`, "-V, --version", "which version this is")
          .option("--gateway <words>", "what `ssh` connects to: a Host alias, a name, or options and a name")
          .option("--service <url>", "where the approval service is, for verbs that need no ssh; log in with `sluice login`")
          .hook("preAction", (_, verb) => void (places = verb.optsWithGlobals<Places>()))
      },
      addStart(protocols),
      addWorker(protocols),
      addCheck,
      addReload,
      addPolicy,
      addBackup,
      addGatewayKey,
      ...sharedVerbs,
      addLocalToken(local),
      addLogin(local, [bringCertificates]),
      addCertificate,
      addConnectVerbs(local),
      addReplay,
    ],
  },
  words,
  local.context,
)
await local.close()
process.exitCode = interrupted.signal.aborted ? 130 : status
