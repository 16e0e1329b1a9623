// Every client by every way does what people do with it, or is refused with a reason: docs/ssh-clients.md is made from this test's
// own results, and the test fails when they are others. `npm run matrix` tries everything with every client; the ordinary run leaves
// out what costs most for those that few people have, and takes the page's word for it.
import assert from "node:assert/strict"
import { createHash, randomBytes } from "node:crypto"
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { after, before, suite, test } from "node:test"
import { callThrough, type Greeter, startGreeter } from "../support/greeter.ts"
import { type Client, clients, type Forward, python, type Way, ways, type Words } from "../support/other_ssh_clients.ts"
import { type People, people } from "../support/people.ts"
import { answers, freePort } from "../support/port.ts"
import { launch, must, type Ran, run, type RunOptions } from "../support/run.ts"
import { scratch } from "../support/scratch.ts"
import { kept, text } from "../support/ssh_clients_page.ts"
import { type Open, type State, states } from "../support/ssh_states.ts"
import { type Sluice, startSluice } from "../support/sluice.ts"
import { sshTarget } from "../support/sluice_config.ts"
import { type Sshd, startSshd } from "../support/sshd.ts"
import { type TcpLine, tcpLine } from "../support/tcp_line.ts"
import { needs } from "../support/tools.ts"
import { eventually } from "../support/wait.ts"

const page = join(import.meta.dirname, "../../docs/ssh-clients.md")
/** Everything with every client. */
const whole = process.env["SLUICE_WRITE_MATRIX"] !== undefined
const MB = 1_000_000
const [bulk, large] = [randomBytes(5 * MB), randomBytes(100 * MB)]
const sum = (bytes: Buffer): string => createHash("sha256").update(bytes).digest("hex")
/** How fast the target of a cut is: slow enough for a transfer to be under way when it comes. */
const bytes_per_second = 200_000

type Ending = "expired" | "revoked"

interface Row {
  readonly name: string
  /** What the cell says, "works" for true; throws when it does not work. False: the client has no such thing. */
  go(client: Client, way: Way): Promise<boolean | string>
  /** Not in the ordinary run, with this client. */
  rare?(client: Client): boolean
}

/** One that is open until its access ends. */
interface Cut {
  readonly target: string
  readonly open: Open
}

/** What costs most is left to `npm run matrix`, with clients that few people have. */
const rarely =
  (state: State, ending: Ending) =>
  ({ name }: Client): boolean =>
    name !== "OpenSSH" && (ending === "expired" || state.name !== "a command that streams")

suite(
  "ssh: clients",
  {
    skip: needs(
      "ssh",
      "sshd",
      "dbclient",
      "dropbearconvert",
      "plink",
      "psftp",
      "pscp",
      "puttygen",
      "rsync",
      "scp",
      "sftp",
      "script",
      "newer-ssh",
      "newer-sftp",
      "newer-scp",
    ),
    concurrency: 1,
  },
  () => {
    const { alice, bob }: People = people()
    const folder = scratch("clients")
    const file = (name: string): string => join(folder, name)
    const own = ({ name }: Client, way: Way, what: string): string => file(`${name.replace(" ", "")}-${ways.indexOf(way)}-${what}`)
    let sshd: Sshd
    let greeter: Greeter
    let line: TcpLine
    let sluice: Sluice
    let hostKey: string
    let all: readonly Client[]
    const cuts = new Map<string, Promise<Cut | undefined>>()
    /** Words that must be on record as somebody's action. */
    const wants: string[] = []
    const wanted = (words: string): string => {
      wants.push(words)
      return words
    }

    before(async () => {
      await must(python, ["-W", "ignore", "-c", "import paramiko, asyncssh"]) // Debian's python3-paramiko and python3-asyncssh
      writeFileSync(file("bulk"), bulk)
      writeFileSync(file("large"), large)
      sshd = await startSshd()
      greeter = await startGreeter()
      line = await tcpLine(sshd.address, { bytes_per_second })
      const allow = { local_forward: [greeter.at], remote_forward: ["localhost:*", "127.0.0.1:*"] }
      sluice = await startSluice({
        users: [alice, bob],
        targets: [
          ...["prod-host", "still-0", "still-1"].map((name) => sshTarget(name, sshd, { allow })),
          ...["expired", "revoked"].map((name) => sshTarget(name, sshd, { allow, address: line.at })),
        ],
      })
      for (const target of ["prod-host", "still-0", "still-1"]) await sluice.grant(alice, target, { by: bob, for: "1h" })
      hostKey = await must("ssh-keygen", ["-y", "-f", join(sluice.folder, "state/keys/ssh_host.key")])
      all = clientsAt("prod-host")
    })
    after(async () => {
      await sluice.stop()
      await line.close()
      await Promise.all([greeter.stop(), sshd.stop()])
    })

    const clientsAt = (target: string): readonly Client[] =>
      clients({ person: alice, port: sluice.port("ssh"), login: sshd.login, target, hostKey, openssh: sluice.ssh(alice) })
    const at = (target: string, { name }: Client): Client => clientsAt(target).find((other) => other.name === name)!
    const go = ([program, ...words]: Words, more: readonly string[], options: RunOptions = {}): Promise<Ran> =>
      run(program, [...words, ...more], options)
    /** OpenSSH moves all of it at every run. */
    const bulkFor = ({ name }: Client): { readonly bytes: Buffer; readonly path: string } =>
      whole || name === "OpenSSH" ? { bytes: large, path: file("large") } : { bytes: bulk, path: file("bulk") }
    /** The actions of each session, as JSON. */
    const actions = (): string[] =>
      sluice.recorded().map((id) =>
        sluice
          .recording(id)
          .flatMap((line) => (line.kind === "action" ? [JSON.stringify(line.action)] : []))
          .join("\n"),
      )

    /** Its port, and what ends it. */
    async function tunnelled(client: Client, way: Way, direction: Forward["direction"]): Promise<[number, () => Promise<true>]> {
      const port = await freePort()
      const [program, ...words] = client.tunnel(way, [{ direction, port, to: greeter.at }])
      if (direction === "remote") wanted(`"port":${port}`)
      const tunnel = launch(program, words)
      if (client.ready !== undefined) await tunnel.says(client.ready)
      await eventually("the forward", () => !tunnel.running || answers(port))
      const stop = async (): Promise<true> => {
        await tunnel.stop()
        return true
      }
      return [port, stop]
    }

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
          const ran = await go(client.ssh(way), [wanted(`echo out; echo err >&2; : ${client.name} ${way}; exit 7`)])
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
        name: "100 MB up",
        go: async (client, way) => {
          const { bytes } = bulkFor(client)
          const ran = await go(client.ssh(way), ["sha256sum"], { input: bytes })
          assert.equal(ran.stdout.split(" ")[0], sum(bytes), ran.stderr)
          return true
        },
      },
      {
        name: "100 MB down",
        go: async (client, way) => {
          const [program, ...words] = client.ssh(way)
          const { bytes, path } = bulkFor(client)
          const ran = await run("sh", ["-c", `"$@" | sha256sum`, "sh", program, ...words, `cat ${path}`])
          assert.equal(ran.stdout.split(" ")[0], sum(bytes), ran.stderr)
          return true
        },
      },
      {
        name: "sftp: put, rename, get",
        go: async (client, way) => {
          const batch = own(client, way, "batch")
          const words = client.sftp(way, batch)
          if (!words) return false
          const [put, renamed, got] = ["put", "renamed", "got"].map((name) => own(client, way, name)) as [string, string, string]
          wanted(put)
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
          const to = own(client, way, "scp")
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
          const to = own(client, way, "rsync")
          mkdirSync(to)
          const ran = await run("rsync", ["-e", through.shell, file("bulk"), `${through.host}:${to}/`])
          assert.equal(ran.status, 0, ran.stderr)
          assert.equal(sum(readFileSync(join(to, "bulk"))), sum(bulk))
          return true
        },
      },
      {
        name: "-L",
        go: async (client, way) => {
          const [port, stop] = await tunnelled(client, way, "local")
          assert.equal(await callThrough(port, "hi\n"), "hello\nhi\ngoodbye\n")
          return stop()
        },
      },
      {
        name: "-R",
        go: async (client, way) => {
          const [port, stop] = await tunnelled(client, way, "remote")
          assert.equal(await callThrough(port, "hi\n"), "hello\nhi\ngoodbye\n")
          return stop()
        },
      },
      {
        name: "-N: a connection without a program",
        go: async (client, way) => {
          const target = `still-${ways.indexOf(way)}`
          const open = async (): Promise<boolean> => (await sluice.sessions(alice, true)).some((session) => session.target === target)
          const [program, ...words] = at(target, client).tunnel(way, [])
          const still = launch(program, words)
          await eventually("the session", open)
          await still.stop()
          await eventually("the session to be over", async () => !(await open()))
          return true
        },
      },
      {
        name: "one connection that several share (ControlMaster)",
        go: async (client, way) => {
          const shared = client.shared(way, file(`${ways.indexOf(way)}`))
          if (!shared) return false
          const [program, ...words] = shared.first
          const [one, two] = [1, 2].map((n) => `echo ${n}; : ${client.name} ${way}`) as [string, string]
          const first = launch(program, [...words, `${one}; exec cat`])
          await first.says("1")
          const { stdout, status, stderr } = await go(shared.again, [two])
          assert.deepEqual([stdout, status], ["2\n", 0], stderr)
          first.closeInput()
          assert.equal((await first.ended).status, 0)
          const session = await eventually("it to be on record", () => actions().find((actions) => actions.includes(JSON.stringify(two))))
          assert.ok(session.includes(JSON.stringify(`${one}; exec cat`)), "one session for both")
          return true
        },
      },
      ...(["expired", "revoked"] as const).flatMap((ending) =>
        states.map((state) => ({
          name: `${ending === "expired" ? "cut at expiry" : "cut by a revocation"}: ${state.name}`,
          go: (client: Client, way: Way) => cutOff(client, way, state, ending),
          rare: rarely(state, ending),
        })),
      ),
    ]

    const key = (...parts: readonly string[]): string => parts.join(", ")

    /** Brings every client there at once, to be cut off together. */
    async function openAll(ending: Ending): Promise<void> {
      const there = clientsAt(ending)
      for (const state of states) {
        const here = there.filter((client) => whole || !rarely(state, ending)(client))
        const opening = here.flatMap((client) =>
          ways.map((way) => {
            const place = file(key(ending, state.name, client.name, way).replaceAll(/\W+/g, "_"))
            mkdirSync(place)
            const open = state.open(client, way, { folder: place, large: file("large"), greeter })
            const cut = (async () => (open ? { target: ending, open: await open } : undefined))()
            cut.catch(() => {}) // its cell says so
            cuts.set(key(ending, state.name, client.name, way), cut)
            return cut
          }),
        )
        await Promise.allSettled(opening)
      }
    }

    async function cutOff({ name }: Client, way: Way, state: State, ending: Ending): Promise<string | false> {
      const cut = await cuts.get(key(ending, state.name, name, way))
      if (!cut) return false
      const { stdout, stderr, status } = await cut.open.program.ended
      await cut.open.also
      const told = new RegExp(`your access to ${cut.target} ended at .* ${ending}\\)`).test(stdout + stderr)
      return `${told ? "told why" : "ended, not told why"}${status === 0 ? ", exits with 0" : ""}`
    }

    test("all of them", { timeout: whole ? 900_000 : 280_000 }, async () => {
      // They expire while the others are tried.
      await sluice.grant(alice, "expired", { by: bob, for: whole ? "2m" : "45s" })
      const grant = await sluice.grant(alice, "revoked", { by: bob, for: "1h" })
      await openAll("expired")
      await openAll("revoked")
      await sluice.revoke(grant, bob)
      const before = readFileSync(page, "utf8")
      const table = [[" ", ...all.flatMap(({ name }) => ways.map((way) => `${name}, ${way === "-J" ? "jump" : "direct"}`))]]
      for (const row of rows) {
        const cells: string[] = []
        for (const [index, client] of all.entries()) {
          if (!whole && row.rare?.(client)) cells.push(...kept(before, row.name, index))
          else cells.push(...(await Promise.all(ways.map((way) => cell(row, client, way)))))
        }
        table.push([row.name, ...cells])
      }
      const made = text(table)
      if (whole) writeFileSync(page, made)
      assert.equal(readFileSync(page, "utf8"), made)
    })

    test("OpenSSH 10 has nothing to warn of: the keys are exchanged as it wants them, on both hops", async () => {
      for (const way of ways) {
        const ran = await go(all.find(({ name }) => name === "OpenSSH 10")!.ssh(way), ["-v", "true"])
        assert.equal(ran.status, 0, ran.stderr)
        assert.doesNotMatch(ran.stderr, /WARNING/)
        const exchanges = ran.stderr.match(/kex: algorithm: .*/g)
        assert.deepEqual(new Set(exchanges?.map((line) => line.trim())), new Set(["kex: algorithm: mlkem768x25519-sha256"]))
        assert.equal(exchanges?.length, way === "-J" ? 2 : 1)
      }
    })

    test("all that was allowed is on record, and so is every cut", async () => {
      const recorded = actions().join("\n")
      for (const words of wants) assert.ok(recorded.includes(words), words)
      const opened = (await Promise.all(cuts.values())).filter((cut) => cut !== undefined)
      const lines = sluice.recorded().flatMap((id) => sluice.recording(id))
      for (const ending of ["expired", "revoked"]) {
        assert.equal(
          lines.filter((line) => line.kind === "cut" && line.code === ending).length,
          opened.filter(({ target }) => target === ending).length,
        )
      }
    })

    async function cell(row: Row, client: Client, way: Way): Promise<string> {
      try {
        const answer = await row.go(client, way)
        return answer === true ? "works" : answer === false ? "has none" : answer
      } catch (failure) {
        console.error(`${row.name}, ${client.name} ${way}: ${(failure as Error).message}`)
        return "fails"
      }
    }
  },
)
