// What was run, read from the recording of a terminal: real shells at a real sshd, typed at through a real ssh in a real pty, and
// the exact list of commands that comes out.
import assert from "node:assert/strict"
import { after, before, suite, test } from "node:test"
import type { Line } from "../../src/record/events.ts"
import { type Told, transcribe } from "../../src/record/transcript.ts"
import { type People, people } from "../support/people.ts"
import { must } from "../support/run.ts"
import { type Sluice, startSluice } from "../support/sluice.ts"
import { sshTarget } from "../support/sluice_config.ts"
import { type Sshd, startSshd } from "../support/sshd.ts"
import { needs } from "../support/tools.ts"
import { sit, type Typist } from "../support/typist.ts"
import { eventually } from "../support/wait.ts"

const length = "${#word}"
const prompt = /box\$ \s*(RIGHT\s*)?$/
const shells = {
  bash: "env -i HISTFILE= TERM=xterm-256color LC_ALL=C.UTF-8 HOME=/tmp PATH=$PATH PS1='box$ ' bash --norc --noprofile -i",
  sh: "env -i TERM=xterm-256color HOME=/tmp PATH=$PATH PS1='box$ ' sh -i",
  zsh: "env -i TERM=xterm-256color LC_ALL=C.UTF-8 HOME=/nowhere PATH=$PATH PS1='box$ ' zsh -f -i",
  fish: `env -i TERM=xterm-256color LC_ALL=C.UTF-8 HOME=$(mktemp -d) PATH=$PATH fish -i -C 'function fish_prompt; echo -n "box\\$ "; end; function fish_right_prompt; echo RIGHT; end'`,
}
type Shell = keyof typeof shells

suite(
  "ssh: what was typed at a terminal",
  { skip: needs("ssh", "sshd", "ssh-keygen", "bash", "zsh", "fish", "less"), concurrency: 1 },
  () => {
    const { alice, bob }: People = people()
    let sshd: Sshd
    let sluice: Sluice

    before(async () => {
      sshd = await startSshd({ authorized: [alice.publicKey] })
      sluice = await startSluice({ users: [alice, bob], targets: [sshTarget("prod-host", sshd)] })
      await sluice.grant(alice, "prod-host", { by: bob, for: "1h" })
    })
    after(async () => {
      await sluice.stop()
      await sshd.stop()
    })

    /** Sits down at a shell, does something and leaves; what was told of it, and the whole recording as text. */
    async function session(
      shell: Shell,
      act: (at: Typist) => Promise<void>,
      size: { columns?: number; rows?: number } = {},
    ): Promise<{ id: string; lines: string[]; told: Told[]; recording: string }> {
      const known = new Set(sluice.recorded())
      const at = sit("ssh", [...sluice.ssh(alice), "-tt", "-J", "gateway", `${sshd.login}@prod-host`, `exec ${shells[shell]}`], size)
      try {
        await at.reads(prompt)
        await act(at)
        await at.over
      } finally {
        at.stop()
      }
      const id = sluice.recorded().find((each) => !known.has(each))
      assert(id)
      const recorded = await eventually("the recording to be closed", () => {
        const lines = sluice.recording(id)
        return lines.at(-1)?.kind === "end" ? lines : undefined
      })
      const told: Told[] = []
      for await (const one of transcribe(each(recorded))) told.push(one)
      const lines = told.flatMap((one) => (one.kind === "typed" ? [one.text] : one.kind === "full_screen" ? ["(full screen)"] : []))
      return { id, lines, told, recording: JSON.stringify(recorded) }
    }

    /** Types a line and waits for the next prompt. */
    async function run(at: Typist, line: string): Promise<void> {
      await at.keys(line)
      at.press("\r")
      await at.reads(prompt)
    }
    async function leave(at: Typist): Promise<void> {
      await at.keys("exit")
      at.press("\r")
    }

    for (const shell of Object.keys(shells) as Shell[]) {
      test(`${shell}: commands come out as they ran, with editing, and in order`, async () => {
        const { lines, told } = await session(shell, async (at) => {
          await run(at, "echo one")
          await at.keys("echo twp")
          at.press("\u007f")
          await at.reads(/.*/)
          await run(at, "o")
          at.press("\r")
          await at.reads(prompt)
          await leave(at)
        })
        assert.deepEqual(lines, ["echo one", "echo two", "exit"])
        for (const one of told) if (one.kind === "typed") assert.equal(one.prompt, "box$ ")
      })
    }

    for (const shell of ["bash", "zsh", "fish"] as const) {
      test(`${shell}: history, search, completion, Ctrl-U, Ctrl-C and Ctrl-L`, async () => {
        const { lines } = await session(shell, async (at) => {
          await run(at, "echo first")
          await run(at, "true second")
          at.press("\u001b[A")
          await at.reads(/true second/)
          at.press("\u001b[A")
          await at.reads(/echo first|first/)
          at.press("\r")
          await at.reads(prompt)
          if (shell !== "fish") {
            at.press("\u0012")
            await at.reads(/search/)
            await at.keys("sec")
            await at.reads(/sec/)
            at.press("\r")
            await at.reads(prompt)
          }
          await at.keys("nothing of this")
          at.press("\u0015")
          await at.reads(/.*/)
          await run(at, "echo after")
          await at.keys("given up")
          at.press("\u0003")
          await at.reads(prompt)
          await at.keys("echo cl")
          at.press("\u000c")
          await at.reads(/cl/)
          await run(at, "ear")
          await leave(at)
        })
        const search = shell === "fish" ? [] : ["true second"]
        assert.deepEqual(lines, ["echo first", "true second", "echo first", ...search, "echo after", "echo clear", "exit"])
      })
    }

    test("bash: a completed name, and a list of completions in between", async () => {
      const { lines } = await session("bash", async (at) => {
        await run(at, "cd /usr && set -o posix")
        await at.keys("ls -d loc")
        at.press("\t")
        await at.reads(/al\//)
        at.press("\r")
        await at.reads(prompt)
        await at.keys("ls -d s")
        at.press("\t\t")
        await at.reads(/sbin[^]*share[^]*box\$ ls -d s$/)
        await at.keys("ha")
        at.press("\t")
        await at.reads(/re/)
        at.press("\r")
        await at.reads(prompt)
        await leave(at)
      })
      assert.deepEqual(lines, ["cd /usr && set -o posix", "ls -d local/", "ls -d share/", "exit"])
    })

    test("bash: a loop over several lines is one command; a line too long for the screen, wide characters and a resize change nothing", async () => {
      const long = `echo ${"0123456789".repeat(9)} | wc -c`
      const { lines } = await session(
        "bash",
        async (at) => {
          await at.keys("for i in 1 2; do")
          at.press("\r")
          await at.reads(/> $/)
          await at.keys("echo $i")
          at.press("\r")
          await at.reads(/> $/)
          await run(at, "done")
          await run(at, long)
          await run(at, "echo 日本語 | tr -d x")
          await at.keys("echo nar")
          at.resize(30, 24)
          await at.reads(/nar/)
          await run(at, "row; true 1234567890 12345")
          at.resize(100, 24)
          await at.reads(/box\$ /)
          await run(at, "echo wide")
          await leave(at)
        },
        { columns: 40, rows: 10 },
      )
      const loop = "for i in 1 2; do\necho $i\ndone"
      assert.deepEqual(lines, [loop, long, "echo 日本語 | tr -d x", "echo narrow; true 1234567890 12345", "echo wide", "exit"])
    })

    test("what is not shown is not told, nor in the recording: passwords, however they are asked for", async () => {
      const { lines, recording } = await session("bash", async (at) => {
        await at.keys("read -s word")
        at.press("\r")
        await at.reads(/\n/)
        at.press("hunter2\r")
        await at.reads(prompt)
        await at.keys(`read -sp 'Password: ' word; echo; echo ${length}`)
        at.press("\r")
        await at.reads(/Password: $/)
        for (const key of "hunter2") at.press(key)
        at.press("\r")
        await at.reads(/7\s+box/)
        await leave(at)
      })
      assert.deepEqual(lines, ["read -s word", `read -sp 'Password: ' word; echo; echo ${length}`, "exit"])
      assert.doesNotMatch(recording, /hunter2|h.{0,200}u.{0,200}n.{0,200}t.{0,200}e.{0,200}r2/)
    })

    for (const shell of ["bash", "sh", "zsh"] as const) {
      test(`${shell}: several lines at once, and lines typed while another runs, are told one by one, each once`, async () => {
        const { lines } = await session(shell, async (at) => {
          at.press("echo one\recho two\recho three\r")
          await at.reads(/three[^]*three[^a-z]*box\$ $/)
          await at.keys("sleep 0.4")
          at.press("\r")
          await at.keys("echo ahead")
          at.press("\r")
          await at.reads(/ahead[^]*ahead[^a-z]*box\$ $/)
          await leave(at)
        })
        assert.deepEqual(lines, ["echo one", "echo two", "echo three", "sleep 0.4", "echo ahead", "exit"])
      })
    }

    for (const shell of ["bash", "zsh", "fish"] as const) {
      test(`${shell}: a paste of several lines is one command`, async () => {
        const { lines } = await session(shell, async (at) => {
          // The prompt is there a moment before the line editor has said that it reads.
          await eventually("bracketed paste to be on", () => at.shown().includes("\u001b[?2004h"))
          at.press("\u001b[200~echo one\recho two\u001b[201~")
          await at.reads(/two/)
          at.press("\r")
          await at.reads(/two[^a-z]*box\$ /)
          await leave(at)
        })
        assert.deepEqual(lines, [`echo one\n${shell === "fish" ? "     " : ""}echo two`, "exit"], "fish shows it indented")
      })
    }

    test("in a program on the whole screen nothing is told but that it was there", async () => {
      const { told } = await session("bash", async (at) => {
        await at.keys("seq 100 | less")
        at.press("\r")
        await at.reads(/:$/)
        at.press("/42\r")
        await at.reads(/42/)
        at.press("q")
        await at.reads(prompt)
        await leave(at)
      })
      assert.deepEqual(
        told.map((one) => (one.kind === "full_screen" ? one.kind : one.text)),
        [told[0]?.kind === "exec" ? told[0].text : "", "seq 100 | less", "full_screen", "exit"],
      )
    })

    test("a program that reads lines: what was typed to it is told with its own prompt", async () => {
      const { told, id } = await session("bash", async (at) => {
        await at.keys("cat > /dev/null")
        at.press("\r")
        await at.reads(/\n/)
        await at.keys("a line")
        at.press("\r")
        await at.reads(/\n/)
        at.press("\u0004")
        await at.reads(prompt)
        await at.keys("read -p 'sure? ' answer")
        at.press("\r")
        await at.reads(/sure\? $/)
        await run(at, "yes")
        await leave(at)
      })
      assert.deepEqual(
        told.flatMap((one) => (one.kind === "typed" ? [[one.prompt, one.text]] : [])),
        [
          ["box$ ", "cat > /dev/null"],
          ["", "a line"],
          ["box$ ", "read -p 'sure? ' answer"],
          ["sure? ", "yes"],
          ["box$ ", "exit"],
        ],
      )
      const replay = ["src/main.ts", "replay", id, "--config", sluice.configFile, "--commands"]
      const listed = await must(process.execPath, replay)
      assert.match(
        listed,
        /0 \$ exec env [^]*0 \$ cat > \/dev\/null\n.*0 \$ a line\n.*0 \$ read -p 'sure\? ' answer\n.*0 sure\? yes\n.*0 \$ exit\n$/,
      )
      const json = (await must(process.execPath, [...replay, "--json"])).trimEnd().split("\n")
      assert.deepEqual(
        json.map((line) => JSON.parse(line) as Told),
        told,
      )
    })
  },
)

async function* each(lines: readonly Line[]): AsyncGenerator<Line> {
  yield* lines
}
