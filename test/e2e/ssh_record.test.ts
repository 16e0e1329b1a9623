// What of programs is kept, where a target's config says how much.
import assert from "node:assert/strict"
import { createHash } from "node:crypto"
import { writeFileSync } from "node:fs"
import { join } from "node:path"
import { after, before, suite, test } from "node:test"
import type { Line } from "../../src/record/events.ts"
import { listed } from "../../src/record/listing.ts"
import { type People, people } from "../support/people.ts"
import { must, type Ran, run } from "../support/run.ts"
import { scratch } from "../support/scratch.ts"
import { type Sluice, startSluice } from "../support/sluice.ts"
import { sshTarget } from "../support/sluice_config.ts"
import { type Sshd, startSshd } from "../support/sshd.ts"
import { needs } from "../support/tools.ts"
import { eventually } from "../support/wait.ts"

const sha256 = (text: string): string => createHash("sha256").update(text).digest("hex")

suite("ssh: what is kept of a command's streams, by the target", { skip: needs("ssh", "sshd", "scp"), concurrency: 1 }, () => {
  const { alice, bob }: People = people()
  let sshd: Sshd
  let sluice: Sluice

  before(async () => {
    sshd = await startSshd()
    const targets = [
      sshTarget("usual", sshd),
      sshTarget("some", sshd, { record: { stdin: 0, stdout: 4, stderr: "1KiB" } }),
      sshTarget("sizes", sshd, { record: { stdin: 2, stdout: 4, digests: false } }),
      sshTarget("own", sshd, { allow: { env: ["SLUICE_*"] } }),
    ]
    sluice = await startSluice({ users: [alice, bob], targets, recordings: { stream_bytes_max: 8 } })
    for (const { name } of targets as { name: string }[]) await sluice.grant(alice, name, { by: bob, for: "1h" })
  })
  after(async () => {
    await sluice.stop()
    await sshd.stop()
  })

  /** What a run on `target` left on record. */
  async function recorded(runs: () => Promise<Ran | string>): Promise<Line[]> {
    const known = sluice.recorded()
    await runs()
    const [id = ""] = sluice.recorded().filter((each) => !known.includes(each))
    return eventually("the recording to be closed", () => {
      const lines = sluice.recording(id)
      return lines.at(-1)?.kind === "end" && lines
    })
  }
  const command = (target: string): Promise<Line[]> =>
    recorded(() =>
      run("ssh", [...sluice.ssh(alice), "-J", "gateway", `${sshd.login}@${target}`, "cat; echo wrong >&2"], { input: "0123456789" }),
    )
  const kept = (lines: readonly Line[]): Record<string, string> => {
    const streams: Record<string, string> = {}
    for (const line of lines) {
      if (line.kind === "data" && "text" in line) streams[line.stream] = (streams[line.stream] ?? "") + line.text
    }
    return streams
  }
  const digests = (lines: readonly Line[]): unknown[] =>
    lines.flatMap((line) => (line.kind === "digest" ? [[line.stream, line.bytes, line.sha256]] : []))

  test("nothing said: as `recordings.stream_bytes_max` has it, and beyond it size and SHA-256", async () => {
    const lines = await command("usual")
    assert.deepEqual(kept(lines), { stdin: "01234567", stdout: "01234567", stderr: "wrong\n" })
    assert.deepEqual(digests(lines), [
      ["stdin", 10, sha256("0123456789")],
      ["stdout", 10, sha256("0123456789")],
    ])
  })

  test("each stream has a bound of its own, and 0 keeps nothing of it but what it was", async () => {
    const lines = await command("some")
    assert.deepEqual(kept(lines), { stdout: "0123", stderr: "wrong\n" })
    assert.deepEqual(digests(lines), [
      ["stdin", 10, sha256("0123456789")],
      ["stdout", 10, sha256("0123456789")],
    ])
  })

  test("without digests a longer stream is told by its size", async () => {
    const lines = await command("sizes")
    assert.deepEqual(kept(lines), { stdin: "01", stdout: "0123", stderr: "wrong\n" })
    assert.deepEqual(digests(lines), [
      ["stdin", 10, undefined],
      ["stdout", 10, undefined],
    ])
    assert.ok(lines.flatMap((line) => listed(line, 0)).some((words) => words.endsWith("stdout: 10 bytes in all")))
  })

  test("a file that SFTP transfers has its SHA-256 on record, unless the target is without", async () => {
    const folder = scratch("record")
    writeFileSync(join(folder, "file"), "contents")
    const transfers = async (target: string): Promise<unknown[]> => {
      const words = [...sluice.ssh(alice), "-o", "ProxyJump=gateway", join(folder, "file"), `${sshd.login}@${target}:${folder}/${target}`]
      const lines = await recorded(() => must("scp", words))
      return lines.flatMap((line) => (line.kind === "transfer" ? [[line.bytes_up, line.sha256_up]] : []))
    }
    assert.deepEqual(await transfers("usual"), [[8, sha256("contents")]])
    assert.deepEqual(await transfers("sizes"), [[8, undefined]])
  })

  test("a terminal is kept whole, whatever is said of commands", async () => {
    const lines = await recorded(() => run("ssh", ["-tt", ...sluice.ssh(alice), "-J", "gateway", `${sshd.login}@some`, "seq 1 200"]))
    assert.match(kept(lines)["stdout"] ?? "", /^1\r\n2\r\n[^]*\r\n199\r\n200\r\n$/)
    assert.deepEqual(digests(lines), [])
  })

  test("environment variables are on record by name: those that were set, and those that were left out", async () => {
    const set = ["-o", "SendEnv=LC_ALL LD_PRELOAD_X", "-o", "SetEnv=LC_SECRET=hunter2"]
    const env = { LC_ALL: "C.UTF-8", LD_PRELOAD_X: "/tmp/x.so" }
    const ran: Ran[] = []
    const lines = await recorded(async () => {
      const one = await run("ssh", [...set, ...sluice.ssh(alice), "-J", "gateway", `${sshd.login}@usual`, "env"], { env })
      ran.push(one)
      return one
    })
    assert.match(ran[0]?.stdout ?? "", /^LC_ALL=C\.UTF-8$/m)
    const names = lines.flatMap((line) => (line.kind === "env" ? [line.name] : [])).toSorted()
    assert.deepEqual(names, ["LC_ALL", "LC_SECRET"])
    assert.deepEqual(
      lines.flatMap((line) => (line.kind === "refused" ? [line.what] : [])),
      ["the environment variable LD_PRELOAD_X"],
    )
    const beforeOutput = lines.filter((line) => line.kind === "env" || line.kind === "action" || line.kind === "refused")
    assert.doesNotMatch(JSON.stringify(beforeOutput), /hunter2|x\.so/)
  })

  test("a target that names its variables gets those and no others", async () => {
    const set = ["-o", "SetEnv=SLUICE_MODE=test LC_TIME=C"]
    let said = ""
    const lines = await recorded(async () => {
      const ran = await run("ssh", [...set, ...sluice.ssh(alice), "-J", "gateway", `${sshd.login}@own`, "env"])
      said = ran.stdout
      return ran
    })
    assert.match(said, /^SLUICE_MODE=test$/m)
    assert.doesNotMatch(said, /^LC_TIME/m)
    const names = lines.flatMap((line) => (line.kind === "env" ? [line.name] : line.kind === "refused" ? [line.what] : []))
    assert.deepEqual(names.toSorted(), ["SLUICE_MODE", "the environment variable LC_TIME"])
  })
})
