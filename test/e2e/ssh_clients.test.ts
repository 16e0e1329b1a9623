// Every client by every way does what people do with it, or is refused with a reason: docs/ssh-clients.md is made from this test's
// own results (`npm run matrix`), and the test fails when they are others.
import assert from "node:assert/strict"
import { createHash, randomBytes } from "node:crypto"
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { after, before, suite, test } from "node:test"
import { type Client, clients, python, type Way, ways, type Words } from "../support/other_ssh_clients.ts"
import { type People, people } from "../support/people.ts"
import { launch, must, type Ran, run, type RunOptions } from "../support/run.ts"
import { scratch } from "../support/scratch.ts"
import { type Sluice, startSluice } from "../support/sluice.ts"
import { sshTarget } from "../support/sluice_config.ts"
import { type Sshd, startSshd } from "../support/sshd.ts"
import { needs } from "../support/tools.ts"

const page = join(import.meta.dirname, "../../docs/ssh-clients.md")
const bulk = randomBytes(5 * 1024 * 1024)
const sum = (bytes: Buffer): string => createHash("sha256").update(bytes).digest("hex")

interface Row {
  readonly name: string
  /** Throws when it does not work; undefined when the client has no such thing. */
  go(client: Client, way: Way): Promise<boolean>
}

suite(
  "ssh: clients",
  {
    skip: needs("ssh", "sshd", "dbclient", "dropbearconvert", "plink", "psftp", "pscp", "puttygen", "rsync", "scp", "sftp"),
    concurrency: 1,
  },
  () => {
    const { alice, bob }: People = people()
    const folder = scratch("clients")
    const file = (name: string): string => join(folder, name)
    let sshd: Sshd
    let sluice: Sluice
    let hostKey: string
    let all: readonly Client[]

    before(async () => {
      await must(python, ["-c", "import paramiko"]) // Debian's python3-paramiko
      writeFileSync(file("bulk"), bulk)
      sshd = await startSshd()
      sluice = await startSluice({
        users: [alice, bob],
        targets: [sshTarget("prod-host", sshd), ...ways.map((_, index) => sshTarget(`cut-${index}`, sshd))],
      })
      await sluice.grant(alice, "prod-host", { by: bob, for: "1h" })
      hostKey = await must("ssh-keygen", ["-y", "-f", join(sluice.folder, "state/keys/ssh_host.key")])
      all = clientsAt("prod-host")
    })
    after(async () => {
      await sluice.stop()
      await sshd.stop()
    })

    const clientsAt = (target: string): readonly Client[] =>
      clients({
        person: alice,
        port: sluice.port("ssh"),
        login: sshd.login,
        target,
        hostKey,
        openssh: sluice.ssh(alice),
      })
    const go = ([program, ...words]: Words, more: readonly string[], options: RunOptions = {}): Promise<Ran> =>
      run(program, [...words, ...more], options)

    const rows: readonly Row[] = [
      {
        name: "shell",
        go: async (client, way) => {
          const ran = await go(client.ssh(way), [], { input: "echo $((6 * 7)); exit 4\n" })
          assert.match(ran.stdout, /42/, ran.stderr)
          assert.equal(ran.status, 4)
          return true
        },
      },
      {
        name: "a command, its streams, its exit status",
        go: async (client, way) => {
          const ran = await go(client.ssh(way), ["echo out; echo err >&2; exit 7"])
          assert.deepEqual([ran.stdout, ran.status], ["out\n", 7], ran.stderr)
          assert.match(ran.stderr, /err/)
          return true
        },
      },
      {
        name: "a command that a signal ends",
        go: async (client, way) => {
          const { status } = await go(client.ssh(way), ["kill -TERM $$"])
          assert.equal(status === 0 ? "success" : "failure", client.signalled)
          return true
        },
      },
      {
        name: "a script on stdin",
        go: async (client, way) => {
          const ran = await go(client.ssh(way), ["sh -s"], { input: "echo one\necho two\nexit 5\n" })
          assert.deepEqual([ran.stdout, ran.status], ["one\ntwo\n", 5], ran.stderr)
          return true
        },
      },
      {
        name: "5 MB up",
        go: async (client, way) => {
          const ran = await go(client.ssh(way), ["sha256sum"], { input: bulk })
          assert.equal(ran.stdout.split(" ")[0], sum(bulk), ran.stderr)
          return true
        },
      },
      {
        name: "5 MB down",
        go: async (client, way) => {
          const [program, ...words] = client.ssh(way)
          const ran = await run("sh", ["-c", `"$@" | sha256sum`, "sh", program, ...words, `cat ${file("bulk")}`])
          assert.equal(ran.stdout.split(" ")[0], sum(bulk), ran.stderr)
          return true
        },
      },
      {
        name: "sftp: put, rename, get",
        go: async (client, way) => {
          const batch = file(`${client.name}-${ways.indexOf(way)}-batch`)
          const words = client.sftp(way, batch)
          if (!words) return false
          const [put, renamed, got] = ["put", "renamed", "got"].map((name) => file(`${client.name}-${ways.indexOf(way)}-${name}`)) as [
            string,
            string,
            string,
          ]
          writeFileSync(batch, `put ${file("bulk")} ${put}\nrename ${put} ${renamed}\nget ${renamed} ${got}\n`)
          const ran = await go(words, [], { input: readFileSync(batch) })
          assert.equal(ran.status, 0, ran.stderr)
          assert.equal(existsSync(put), false)
          assert.equal(sum(readFileSync(got)), sum(bulk))
          return true
        },
      },
      {
        name: "scp",
        go: async (client, way) => {
          const to = file(`${client.name}-${ways.indexOf(way)}-scp`)
          const words = client.scp(way, file("bulk"), to)
          if (!words) return false
          const ran = await go(words, [])
          assert.equal(ran.status, 0, ran.stderr)
          assert.equal(sum(readFileSync(to)), sum(bulk))
          return true
        },
      },
      {
        name: "rsync",
        go: async (client, way) => {
          const through = client.rsync(way)
          if (!through) return false
          const to = file(`${client.name}-${ways.indexOf(way)}-rsync`)
          mkdirSync(to)
          const ran = await run("rsync", ["-e", through.shell, file("bulk"), `${through.host}:${to}/`])
          assert.equal(ran.status, 0, ran.stderr)
          assert.equal(sum(readFileSync(join(to, "bulk"))), sum(bulk))
          return true
        },
      },
      {
        name: "cut: ended at once, and told why",
        go: async (client, way) => {
          const target = `cut-${ways.indexOf(way)}`
          const grant = await sluice.grant(alice, target, { by: bob, for: "1h" })
          const cutting = clientsAt(target).find(({ name }) => name === client.name)!
          const [program, ...words] = cutting.ssh(way)
          const running = launch(program, [...words, "echo started; exec sleep 600"])
          await running.says("started")
          await sluice.revoke(grant, bob)
          const { stderr, status } = await running.ended
          assert.match(stderr, /your access to cut-\d ended at .* revoked/)
          assert.equal(status === 0 ? "success" : "failure", client.signalled)
          return true
        },
      },
    ]

    test("all of them", { timeout: 280_000 }, async () => {
      const table = [[" ", ...all.flatMap(({ name }) => ways.map((way) => `${name}, ${way === "-J" ? "jump" : "direct"}`))]]
      for (const row of rows) {
        const cells: string[] = []
        for (const client of all) cells.push(...(await Promise.all(ways.map((way) => cell(row, client, way)))))
        table.push([row.name, ...cells])
      }
      const made = text(table)
      if (process.env["SLUICE_WRITE_MATRIX"]) writeFileSync(page, made)
      assert.equal(readFileSync(page, "utf8"), made)
    })

    async function cell(row: Row, client: Client, way: Way): Promise<string> {
      try {
        return (await row.go(client, way)) ? "works" : "has none"
      } catch (failure) {
        console.error(`${row.name}, ${client.name} ${way}: ${(failure as Error).message}`)
        return "fails"
      }
    }
  },
)

function text([head = [], ...rows]: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]): string => `| ${cells.join(" | ")} |\n`
  return `# SSH clients

Made by \`npm run matrix\` from the results of test/e2e/ssh_clients.test.ts, which fails when they are others. The clients are those of
Debian 12: OpenSSH 9.2, dropbear's dbclient 2022.83, PuTTY 0.78 (plink, psftp, pscp) and paramiko 2.12. "jump" is \`ssh -J gateway login@target\`
in each client's own words, "direct" is \`login@target\` as the user's name at the gateway. "has none": the client has no such thing. A command that a signal
has ended, and a cut, are a failure to each of them but dbclient: it prints the words and exits with 0, after a signal at a plain
sshd as well.

${line(head)}${line(head.map(() => "---"))}${rows.map(line).join("")}`
}
