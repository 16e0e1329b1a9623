// SSH with the programs people have: OpenSSH's client, scp and tmux's kind of terminal on one side, a real sshd on the other.
import assert from "node:assert/strict"
import { createHash, randomBytes } from "node:crypto"
import { writeFileSync } from "node:fs"
import { join } from "node:path"
import { after, before, suite, test } from "node:test"
import ssh2 from "ssh2"
import type { Line } from "../../src/record/events.ts"
import { lives } from "../support/lives.ts"
import { keyPair, type People, people } from "../support/people.ts"
import { launch, type Ran, run, type RunOptions } from "../support/run.ts"
import { scratch } from "../support/scratch.ts"
import { type Sluice, startSluice } from "../support/sluice.ts"
import { sshTarget } from "../support/sluice_config.ts"
import { type Sshd, startSshd } from "../support/sshd.ts"
import { needs } from "../support/tools.ts"
import { eventually } from "../support/wait.ts"

const big = 64 * 1024 * 1024

suite("ssh", { skip: needs("ssh", "scp", "sshd", "ssh-keygen"), concurrency: 1 }, () => {
  const { alice, bob, carol }: People = people()
  const folder = scratch("ssh")
  let sshd: Sshd
  let sluice: Sluice
  const reachable = ["prod-host", "other-host", "impostor", "locked", "down"]

  before(async () => {
    sshd = await startSshd()
    sluice = await startSluice({
      users: [alice, bob, carol],
      targets: [
        sshTarget("prod-host", sshd),
        sshTarget("other-host", sshd),
        sshTarget("forbidden", sshd),
        sshTarget("impostor", sshd, { host_key: keyPair("another").publicKey }),
        sshTarget("locked", sshd, { auth: { key: `file:${keyPair("stranger").file}` } }),
        sshTarget("down", sshd, { address: "127.0.0.1:1" }),
      ],
      policy: { access: [{ who: ["engineers"], targets: reachable, max: "8h", approve: { by: ["oncall"] } }] },
    })
    for (const target of reachable) {
      await sluice.grant(alice, target, { by: bob, for: "1h" })
    }
  })
  after(async () => {
    await sluice.stop()
    await sshd.stop()
  })

  const ssh = (args: readonly string[], options: RunOptions = {}): Promise<Ran> => run("ssh", [...sluice.ssh(alice), ...args], options)
  const jump = (target: string, ...args: string[]): string[] => ["-J", "gateway", `${sshd.login}@${target}`, ...args]
  /** The recording of the session that ended last. */
  const lastRecording = async (): Promise<readonly Line[]> => {
    const all = sluice.recorded().map((id) => sluice.recording(id))
    const last = all.reduce((a, b) => ((a[0]?.t ?? 0) > (b[0]?.t ?? 0) ? a : b))
    const first = last[0]
    assert.ok(first?.kind === "session")
    return eventually("the recording to be closed", () => {
      const lines = sluice.recording(first.id)
      return lines.at(-1)?.kind === "end" ? lines : undefined
    })
  }

  suite("programs", () => {
    for (const [command, status] of [
      ["true", 0],
      ["exit 1", 1],
      ["exit 3", 3],
      ["no-such-program-anywhere", 127],
      ["kill -TERM $$", 255],
    ] as const) {
      test(`\`${command}\` ends ssh with ${status}`, async () => assert.equal((await ssh(jump("prod-host", command))).status, status))
    }

    test("stdin, stdout and stderr are the program's, and each is on record", async () => {
      const ran = await ssh(jump("prod-host", "cat; echo wrong >&2; exit 5"), { input: "typed\n" })
      assert.deepEqual([ran.stdout, ran.status], ["typed\n", 5])
      assert.match(ran.stderr, /wrong/)
      const lines = await lastRecording()
      const said = (stream: string): string =>
        lines.flatMap((line) => (line.kind === "data" && line.stream === stream && "text" in line ? [line.text] : [])).join("")
      assert.deepEqual([said("stdin"), said("stdout"), said("stderr")], ["typed\n", "typed\n", "wrong\n"])
      const outcome = lines.find((line) => line.kind === "outcome")
      assert.ok(outcome?.kind === "outcome")
      assert.deepEqual([outcome.exit, outcome.bytes_up, outcome.bytes_down], [5, 6, 12])
    })

    test("the tail of stderr arrives, however much there was", async () => {
      const ran = await ssh(jump("prod-host", "seq 50000 >&2; exit 4"))
      assert.match(ran.stderr, /49999\n50000\n$/)
      assert.equal(ran.status, 4)
    })

    test("bulk arrives byte for byte in both directions, through renewals of the keys", async () => {
      const bytes = randomBytes(big)
      const sum = createHash("sha256").update(bytes).digest("hex")
      const file = join(folder, "bulk")
      writeFileSync(file, bytes)
      const renewing = ["-o", "RekeyLimit=8M"]
      const up = await ssh([...renewing, ...jump("prod-host", "sha256sum")], { input: bytes })
      assert.equal(up.stdout.split(" ")[0], sum, up.stderr)
      const down = await run("sh", [
        "-c",
        `exec ssh "$@" | sha256sum`,
        "sh",
        ...sluice.ssh(alice),
        ...renewing,
        ...jump("prod-host", `cat ${file}`),
      ])
      assert.equal(down.stdout.split(" ")[0], sum, down.stderr)
      const digest = (await lastRecording()).find((line) => line.kind === "digest")
      assert.ok(digest?.kind === "digest")
      assert.deepEqual([digest.bytes, digest.sha256], [big, sum])
    })

    test("several share one connection and one session", async () => {
      const control = ["-o", `ControlPath=${join(folder, "control")}`]
      const before = sluice.recorded().length
      const master = launch("ssh", [...sluice.ssh(alice), ...control, "-M", "-N", ...jump("prod-host")])
      await eventually(
        "the master to be there",
        async () => (await ssh([...control, "-O", "check", `${sshd.login}@prod-host`])).status === 0,
      )
      const said = await Promise.all(["a", "b", "c"].map((word) => ssh([...control, `${sshd.login}@prod-host`, `echo ${word}`])))
      assert.deepEqual(
        said.map((ran) => ran.stdout),
        ["a\n", "b\n", "c\n"],
      )
      await master.stop()
      assert.equal(sluice.recorded().length, before + 1)
    })

    test("scp -O copies through", async () => {
      writeFileSync(join(folder, "from"), "a file\n")
      const ran = await run("scp", [
        ...sluice.ssh(alice),
        "-O",
        "-J",
        "gateway",
        join(folder, "from"),
        `${sshd.login}@prod-host:${join(folder, "to")}`,
      ])
      assert.equal(ran.status, 0, ran.stderr)
      assert.equal((await ssh(jump("prod-host", `cat ${join(folder, "to")}`))).stdout, "a file\n")
    })
  })

  suite("a terminal", () => {
    test("has the client's type and size, its output is on record and what is typed unseen is not", async () => {
      const shell = launch(
        "ssh",
        [
          ...sluice.ssh(alice),
          "-tt",
          ...jump("prod-host", "stty size; echo $TERM; stty -echo; echo ready; read secret; echo got ${#secret}; exit 9"),
        ],
        {
          env: { TERM: "xterm-256color" },
        },
      )
      await shell.says(/ready/)
      shell.type("hunter2\n")
      const { status, stdout } = await shell.ended
      assert.equal(status, 9)
      assert.match(stdout, /xterm-256color\r\n/)
      assert.match(stdout, /got 7\r\n/)
      const lines = await lastRecording()
      assert.ok(lines.some((line) => line.kind === "pty" && line.term === "xterm-256color"))
      assert.doesNotMatch(JSON.stringify(lines), /hunter2/)
    })
  })

  suite("ways in", () => {
    for (const sign of ["@", "%"]) {
      test(`login${sign}target at the gateway itself`, async () => {
        const ran = await ssh([`${sshd.login}${sign}prod-host@gateway`, "echo in; exit 6"])
        assert.deepEqual([ran.stdout, ran.status], ["in\n", 6])
      })
    }

    test("two targets over one outer connection are two sessions", async () => {
      const control = ["-o", `ControlPath=${join(folder, "outer")}`]
      const master = launch("ssh", [...sluice.ssh(alice), ...control, "-M", "-N", "gateway"])
      await eventually("the master to be there", async () => (await ssh([...control, "-O", "check", "gateway"])).status === 0)
      const through = (target: string): Promise<Ran> =>
        ssh([
          "-o",
          `ProxyCommand=ssh -F ${sluice.ssh(alice)[1]} ${control.join(" ")} -W %h:%p gateway`,
          `${sshd.login}@${target}`,
          "echo in",
        ])
      const [one, two, no] = await Promise.all([through("prod-host"), through("other-host"), through("forbidden")])
      assert.deepEqual([one.stdout, two.stdout, no.stdout], ["in\n", "in\n", ""])
      await master.stop()
    })

    test("one line of known_hosts is enough for every target and for the gateway, without a question", async () => {
      const said = await ssh(["gateway", "ssh-config"])
      const authority = /@cert-authority .*/.exec(said.stdout)?.[0]
      assert.ok(authority, said.stdout + said.stderr)
      const file = join(folder, "authority")
      writeFileSync(file, `${authority.replace(/^@cert-authority \S+/, "@cert-authority *")}\n`)
      const strict = ["-o", "StrictHostKeyChecking=yes", "-o", `UserKnownHostsFile=${file}`]
      // A jump host is reached with the configuration file's settings alone.
      const outer = `ssh -F ${sluice.ssh(alice)[1]} ${strict.join(" ")} -o HostKeyAlias=gw.test -W %h:%p gateway`
      const ran = await ssh([...strict, "-o", `ProxyCommand=${outer}`, `${sshd.login}@prod-host`, "echo in"])
      assert.equal(ran.stdout, "in\n", ran.stderr)
    })
  })

  suite("refusals", () => {
    test("unknown and forbidden are one answer, with the line that asks", async () => {
      const answers = await Promise.all(
        ["forbidden", "no-such-thing"].map(async (name) => (await ssh(jump(name, "true"))).stderr.replaceAll(name, "X")),
      )
      assert.equal(answers[0], answers[1])
      assert.match(answers[0]!, /no access to this target now\. Ask for it: ssh gateway request X/)
      const direct = await Promise.all(
        ["forbidden", "no-such-thing"].map(async (name) => (await ssh([`root@${name}@gateway`, "true"])).stderr.replaceAll(name, "X")),
      )
      assert.equal(direct[0], direct[1])
      assert.match(direct[0]!, /Ask for it: ssh gateway request X/)
    })

    test("a login the target does not offer is refused in the inner handshake", async () => {
      const ran = await ssh(["-J", "gateway", "nobody-here@prod-host", "true"])
      assert.equal(ran.status, 255)
      assert.match(ran.stderr, /Ask for it: ssh gateway request prod-host/)
    })

    for (const [port, host] of [
      ["25", "prod-host"],
      ["22", "127.0.0.1"],
      ["22", "169.254.169.254"],
    ] as const) {
      test(`${host}:${port} is no way through the gateway`, async () => {
        const ran = await ssh(["-W", `${host}:${port}`, "gateway"])
        assert.match(ran.stderr, /administratively prohibited: sluice: you have no access/)
      })
    }

    for (const [target, words, log] of [
      ["impostor", /could not prove that it is the one/, /the host key is SHA256:\S+, pinned is SHA256:/],
      ["locked", /did not accept the gateway's credentials/, /target_login_failed/],
      ["down", /the target does not answer/, /target_unreachable/],
    ] as const) {
      test(`${target}: the user reads constant words, the operator's log says why`, async () => {
        const ran = await ssh(jump(target, "true"))
        assert.equal(ran.status, 255)
        assert.match(ran.stderr, words)
        assert.match(sluice.log(), log)
      })
    }

    test("forwarding and variables that are not on the list are refused and on record", async () => {
      const env = await ssh(["-o", "SendEnv=LC_* GLIBC_*", ...jump("prod-host", 'echo "[$LC_TEST][$GLIBC_TUNABLES]"')], {
        env: { LC_TEST: "yes", GLIBC_TUNABLES: "glibc.malloc.check=0" },
      })
      assert.equal(env.stdout, "[yes][]\n", env.stderr)
      assert.ok((await lastRecording()).some((line) => line.kind === "refused" && line.what === "the environment variable GLIBC_TUNABLES"))
      const remote = await ssh(["-R", "0:127.0.0.1:22", ...jump("prod-host", "true")])
      assert.match(remote.stderr, /remote port forwarding failed/)
      assert.ok((await lastRecording()).some((line) => line.kind === "refused" && line.what.startsWith("remote forwarding")))
    })
  })

  suite("the end", () => {
    test("at a cut a command without a terminal is gone on the target, also one that does not want to go", async () => {
      const grant = await sluice.grant(carol, "prod-host", { by: bob, for: "1h" })
      const commands = ["echo up $$; exec sleep 600", `trap "" TERM HUP; echo up $$; sleep 600; sleep 600`]
      const running = commands.map((command) => launch("ssh", [...sluice.ssh(carol), ...jump("prod-host", command)]))
      const pids = await Promise.all(running.map(async (program) => Number((await program.says(/up (\d+)\r?\n/))[1])))
      await sluice.revoke(grant, bob)
      for (const { stderr, status } of await Promise.all(running.map((program) => program.ended))) {
        assert.match(stderr, /your access to prod-host ended at .* revoked\)\. Ask again: ssh gateway request prod-host/)
        assert.equal(status, 255)
      }
      for (const pid of pids) await eventually(`process ${pid} to be gone`, () => !lives(pid))
    })
  })

  suite("who it is", () => {
    /** Shows alice's key when asked what it has; what it signs with is another question. */
    const showing = (sign: (data: Buffer) => Buffer | Error): Agent => new Agent(alice.publicKey, sign)
    const loginWith = (methods: readonly unknown[]): Promise<string> => {
      const client = new ssh2.Client()
      const left = [...methods]
      return new Promise<string>((resolve) => {
        client.on("error", () => {}) // an agent that does not sign, and the refusal
        client.on("close", () => resolve("refused"))
        client.on("ready", () =>
          client.exec("whoami", (failure, channel) => {
            if (failure) return resolve("refused")
            let text = ""
            channel
              .on("data", (chunk: Buffer) => (text += chunk.toString()))
              .on("close", () => {
                resolve(text)
                client.end()
              })
          }),
        )
        const authHandler = (_left: unknown, _partial: unknown, next: (method: never) => void): void =>
          next((left.shift() ?? false) as never)
        client.connect({ host: "127.0.0.1", port: sluice.port("ssh"), username: "x", authHandler })
      })
    }

    test("a key that was only asked about proves nothing: who asks with alice's and signs with carol's is carol", async () => {
      const asked = { type: "agent", username: "x", agent: showing(() => new Error("no")) }
      const signed = { type: "publickey", username: "x", key: carol.privateKey }
      const said = await loginWith([asked, signed])
      assert.match(said, /carol@example\.com/)
      assert.doesNotMatch(said, /alice/)
    })

    test("alice's key with carol's signature, or with none worth the name, is nobody", async () => {
      const key = ssh2.utils.parseKey(carol.privateKey) as ssh2.ParsedKey
      for (const sign of [(data: Buffer) => key.sign(data), () => Buffer.alloc(64), () => Buffer.alloc(0)]) {
        assert.equal(await loginWith([{ type: "agent", username: "x", agent: showing(sign) }]), "refused")
      }
    })

    test("thirty other keys may be offered before the right one, and too many get words that help", async () => {
      const others = (count: number): string[] => Array.from({ length: count }, () => ["-i", keyPair("other").file]).flat()
      assert.match((await ssh([...others(30), "gateway", "whoami"])).stdout, /alice@example\.com/)
      assert.match((await ssh([...others(70), "gateway", "whoami"])).stderr, /tried too many keys; name the right one/)
    })

    test("a stranger's key, a password and a host's word are refused", async () => {
      const stranger = keyPair("stranger")
      const ran = await run("ssh", [
        "-F",
        "none",
        "-i",
        stranger.file,
        "-o",
        "IdentitiesOnly=yes",
        "-o",
        "IdentityAgent=none",
        "-o",
        "StrictHostKeyChecking=no",
        "-o",
        "UserKnownHostsFile=/dev/null",
        "-p",
        String(sluice.port("ssh")),
        "x@127.0.0.1",
        "whoami",
      ])
      assert.match(ran.stderr, /Permission denied \(publickey\)/)
      assert.equal(ran.stdout, "")
    })
  })
})

class Agent extends ssh2.BaseAgent<ssh2.ParsedKey> {
  readonly #key: ssh2.ParsedKey
  readonly #sign: (data: Buffer) => Buffer | Error

  constructor(publicKey: string, sign: (data: Buffer) => Buffer | Error) {
    super()
    this.#key = ssh2.utils.parseKey(publicKey) as ssh2.ParsedKey
    this.#sign = sign
  }

  override getIdentities(done: (failure: Error | undefined, keys?: ssh2.ParsedKey[]) => void): void {
    done(undefined, [this.#key])
  }

  override sign(_key: unknown, data: Buffer, options: unknown, done?: (failure?: Error, signature?: Buffer) => void): void {
    const answer = (done ?? options) as (failure?: Error, signature?: Buffer) => void
    const signature = this.#sign(data)
    if (signature instanceof Error) answer(signature)
    else answer(undefined, signature)
  }
}
