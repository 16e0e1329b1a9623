// What `ssh-config` and `pg-service` say of certificates that were made on this machine.
import assert from "node:assert/strict"
import { mkdirSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { test } from "node:test"
import { certificateHint } from "../../../src/cli/verbs/certificate.ts"
import { scratch } from "../../support/scratch.ts"

test("certificates: they are named where there are some, whole, and not where there are none", () => {
  const env = { XDG_CONFIG_HOME: scratch("certificates") }
  const folder = join(env.XDG_CONFIG_HOME, "sluice")
  mkdirSync(folder)
  const hints = (): string[] => [certificateHint("ssh-config", env), certificateHint("pg-service", env)]
  assert.deepEqual(hints(), ["", ""])
  // A key without its certificate is nothing to use.
  for (const name of ["id_sluice", "client.key"]) writeFileSync(join(folder, name), "")
  assert.deepEqual(hints(), ["", ""])
  for (const name of ["id_sluice-cert.pub", "client.crt"]) writeFileSync(join(folder, name), "")
  const [ssh = "", psql = ""] = hints()
  assert.match(ssh, new RegExp(`^#   IdentityFile ${folder}/id_sluice$`, "m"))
  assert.match(psql, new RegExp(`^# sslcert=${folder}/client\\.crt\n# sslkey=${folder}/client\\.key$`, "m"))
  // It can be pasted whole: every line of it is a comment.
  for (const line of (ssh + psql).split("\n")) assert.match(line, /^(#.*)?$/)
})
