// Keys that are renewed all the time, by everybody: OpenSSH's client on both hops, the gateway on its three connections, and sshd.
import assert from "node:assert/strict"
import { createHash, randomBytes } from "node:crypto"
import { writeFileSync } from "node:fs"
import { join } from "node:path"
import { after, before, suite, test } from "node:test"
import { sshWith } from "../../protocols/ssh/index.ts"
import { limits } from "../../src/core/limits.ts"
import { type People, people } from "../support/people.ts"
import { launch, run } from "../support/run.ts"
import { scratch } from "../support/scratch.ts"
import { type Sluice, startSluice } from "../support/sluice.ts"
import { sshTarget } from "../support/sluice_config.ts"
import { type Sshd, startSshd } from "../support/sshd.ts"
import { needs } from "../support/tools.ts"
import { eventually } from "../support/wait.ts"

const MiB = 1024 * 1024
const often = MiB

suite("ssh: keys are renewed", { skip: needs("ssh", "sshd", "ssh-keygen", "sha256sum"), concurrency: 1 }, () => {
  const { alice, bob }: People = people()
  const folder = scratch("renewal")
  const content = { large: randomBytes(100 * MiB), small: randomBytes(20 * MiB) }
  const file = (size: "large" | "small"): string => join(folder, size)
  const sum = (size: "large" | "small"): string => createHash("sha256").update(content[size]).digest("hex")
  let sshd: Sshd
  let sluice: Sluice

  before(async () => {
    for (const size of ["large", "small"] as const) writeFileSync(file(size), content[size])
    sshd = await startSshd({ config: ["RekeyLimit 1M"] })
    sluice = await startSluice({
      users: [alice, bob],
      targets: [sshTarget("prod-host", sshd)],
      protocols: [sshWith({ bytes_max: often, ms_max: limits.ssh_keys_ms_max })],
    })
    await sluice.grant(alice, "prod-host", { by: bob, for: "1h" })
  })
  after(async () => {
    await sluice.stop()
    await sshd.stop()
  })

  const ways = [
    ["through -J", "large", () => [...sluice.ssh(alice), "-o", "RekeyLimit=1M", "-J", "gateway", `${sshd.login}@prod-host`]],
    ["by login@target@gateway", "small", () => [...sluice.ssh(alice), "-o", "RekeyLimit=1M", "-l", `${sshd.login}@prod-host`, "gateway"]],
  ] as const

  for (const [name, size, words] of ways) {
    test(`${name}: bulk goes through whole, both ways at once`, async () => {
      const both = ["-c", `ssh "$@" "tee >(sha256sum >&2)" <"$FILE" | sha256sum`, "bash", ...words()]
      const { stdout, stderr } = await run("bash", both, { env: { FILE: file(size) } })
      assert.equal(stdout.split(" ")[0], sum(size), stderr)
      assert.match(stderr, new RegExp(sum(size)))
    })
  }

  test("a reader that begins late loses nothing", async () => {
    const late = `exec 3<&0; ssh "$@" "cat ${file("small")}" </dev/null | { echo waiting >&2; read -r <&3; sha256sum; }`
    const reader = launch("bash", ["-c", late, "bash", ...ways[0][2]()])
    await reader.says("waiting")
    await eventually("the session to be there", async () => (await sluice.sessions(alice, true)).length === 1)
    reader.type("go on\n")
    const { stdout, stderr } = await reader.ended
    assert.equal(stdout.split(" ")[0], sum("small"), stderr)
  })
})
