// Do keys get renewed in the middle of large transfers, and do they arrive whole? 3 GB each way through `ssh -J`, with the bounds as
// they are, against nothing: what is asked is whether it holds.
import { readFileSync, rmSync } from "node:fs"
import { join } from "node:path"
import { keyPair } from "../test/support/people.ts"
import { run } from "../test/support/run.ts"
import { scratch } from "../test/support/scratch.ts"
import { sshTarget } from "../test/support/sluice_config.ts"
import { startSshd } from "../test/support/sshd.ts"
import { mustHave } from "../test/support/tools.ts"
import { startGateway } from "./support/gateway.ts"
import type { Settings } from "./support/settings.ts"

const bulk_mb = 3_000
const limit_ms = 20 * 60_000

/** As many bytes as are wanted that nobody can compress, without a file to keep them in. */
const source = `openssl enc -aes-128-ctr -nosalt -pass pass:sluice -pbkdf2 </dev/zero 2>/dev/null | head -c ${bulk_mb}000000`

export async function measure(settings: Settings): Promise<void> {
  const ssh = mustHave("ssh")
  const folder = scratch("bench-rekey")
  const target = await startSshd({ authorized: [keyPair("user").publicKey] })
  const { sluice, alice, bob } = await startGateway([sshTarget("prod-host", target)], settings)
  await sluice.grant(alice, "prod-host", { by: bob, for: "2h" })
  const log = join(folder, "log")
  const words = [...sluice.ssh(alice), "-v", "-E", log, "-J", "gateway", `${target.login}@prod-host`]
  const ways = {
    up: `${source} | tee >(sha256sum >"$F/here") | "$SSH" "$@" sha256sum >"$F/there"`,
    down: `"$SSH" "$@" '${source} | tee >(sha256sum >&2)' 2>"$F/there" | sha256sum >"$F/here"`,
  }
  try {
    for (const [way, line] of Object.entries(ways)) {
      rmSync(log, { force: true })
      const began = performance.now()
      const ran = await run("bash", ["-c", line, "bash", ...words], { env: { F: folder, SSH: ssh }, limit_ms })
      const seconds = (performance.now() - began) / 1000
      const [here, there] = ["here", "there"].map((name) => /[0-9a-f]{64}/.exec(readFileSync(join(folder, name), "utf8"))?.[0])
      if (ran.status !== 0 || here === undefined || here !== there) throw new Error(`${way}: ${here} here, ${there} there\n${ran.stderr}`)
      console.log(`${bulk_mb} MB ${way}: whole, ${Math.round(bulk_mb / seconds)} MB/s, ${renewals(log)} renewals seen by the client so far`)
    }
  } finally {
    await sluice.stop()
    await target.stop()
  }
}

/** As the client of the inner connection counts them: the first keys are no renewal. */
const renewals = (log: string): number => (readFileSync(log, "utf8").match(/SSH2_MSG_NEWKEYS received/g)?.length ?? 1) - 1
