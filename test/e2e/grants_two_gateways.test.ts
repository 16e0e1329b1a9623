// One grant used through two gateways at once: they share its uses, its first use and its end. Real ssh, one approval service.
import assert from "node:assert/strict"
import { join } from "node:path"
import { after, before, suite, test } from "node:test"
import { type People, people } from "../support/people.ts"
import { run } from "../support/run.ts"
import { scratch } from "../support/scratch.ts"
import { type Sluice, startSluice } from "../support/sluice.ts"
import { gatewayName, sshTarget } from "../support/sluice_config.ts"
import { type Sshd, startSshd } from "../support/sshd.ts"
import { needs } from "../support/tools.ts"

suite("one grant, two gateways", { skip: needs("ssh", "sshd"), concurrency: 1 }, () => {
  const { alice, bob }: People = people()
  let sshd: Sshd
  let approvals: Sluice
  let gateways: Sluice[]

  before(async () => {
    sshd = await startSshd()
    const setup = { users: [alice, bob], targets: [sshTarget("prod-host", sshd)] }
    approvals = await startSluice({ ...setup, role: "approvals" })
    const url = `http://127.0.0.1:${approvals.port("approvals")}`
    gateways = await Promise.all(
      ["one", "two"].map((name) =>
        startSluice({
          ...setup,
          folder: join(scratch(`gateway-${name}`)),
          role: "gateway",
          gateway: { name: `${name}.${gatewayName}` },
          approvals: { url },
        }),
      ),
    )
  })
  after(async () => {
    for (const gateway of gateways) await gateway.stop()
    await approvals.stop()
    await sshd.stop()
  })

  const everywhere = (count: number, command: string) =>
    Promise.all(
      Array.from({ length: count }, (_, at) => {
        const gateway = gateways[at % 2] as Sluice
        return run("ssh", [...gateway.ssh(alice), `${sshd.login}@prod-host@gateway`, command])
      }),
    )

  test("so many uses are so many in all, whichever gateway is asked", async () => {
    const grant = await approvals.grant(alice, "prod-host", { by: bob, for: "1h", uses: 3 })
    const ran = await everywhere(8, "echo ran")
    assert.equal(ran.filter(({ stdout, status }) => stdout === "ran\n" && status === 0).length, 3)
    for (const { stdout, stderr } of ran) if (stdout === "") assert.match(stderr, /all its uses are spent|no access to this target/)
    const { grants } = await approvals.api(alice).call("grants", { query: { all: true } })
    assert.equal(grants.find(({ id }) => id === grant.id)?.status, "spent")
  })

  test("the first use is one, and every gateway gives it the same end", async () => {
    const grant = await approvals.grant(alice, "prod-host", { by: bob, for: "10m", first_use_within_ms: 3_600_000 })
    const ran = await everywhere(4, "echo in")
    assert.deepEqual([...new Set(ran.map(({ stdout }) => stdout))], ["in\n"])
    const { grants } = await approvals.api(alice).call("grants", { query: {} })
    const ends_at = grants.find(({ id }) => id === grant.id)?.ends_at
    assert(ends_at !== undefined && ends_at < grant.ends_at)
    const headers = gateways.flatMap((gateway) =>
      gateway
        .recorded()
        .flatMap((id) => gateway.recording(id).flatMap((line) => (line.kind === "session" && line.grant === grant.id ? [line] : []))),
    )
    assert.deepEqual([headers.length, ...new Set(headers.map((header) => header.grant_ends_at))], [4, ends_at])
    assert.equal(new Set(headers.map(({ gateway }) => gateway)).size, 2)
  })
})
