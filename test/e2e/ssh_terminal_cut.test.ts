// What somebody at a terminal is left with when they are cut off in the middle of a full-screen program: the words on the normal
// screen, and a shell of their own that works.
import assert from "node:assert/strict"
import { after, before, suite, test } from "node:test"
import { openPane, type Pane } from "../support/pane.ts"
import { type People, people } from "../support/people.ts"
import { run } from "../support/run.ts"
import { type Sluice, startSluice } from "../support/sluice.ts"
import { sshTarget } from "../support/sluice_config.ts"
import { type Sshd, startSshd } from "../support/sshd.ts"
import { needs } from "../support/tools.ts"

/** Switches that a program can leave on, by tmux's names, and how they are when nobody touched them. */
const switches = {
  alternate_on: "0",
  cursor_flag: "1",
  insert_flag: "0",
  keypad_flag: "0",
  keypad_cursor_flag: "0",
  mouse_any_flag: "0",
  origin_flag: "0",
  wrap_flag: "1",
  scroll_region_upper: "0",
}

suite("ssh: a cut at a terminal", { skip: needs("ssh", "sshd", "ssh-keygen", "tmux", "less"), concurrency: 1 }, () => {
  const inner = `sluice-${process.pid}-inner`
  const { alice, bob }: People = people()
  let sshd: Sshd
  let sluice: Sluice
  let pane: Pane

  before(async () => {
    sshd = await startSshd({ authorized: [alice.publicKey] })
    sluice = await startSluice({ users: [alice, bob], targets: [sshTarget("prod-host", sshd)] })
    pane = await openPane()
  })
  after(async () => {
    await run("tmux", ["-L", inner, "kill-server"]) // it is a daemon, and outlives the cut
    await pane.close()
    await sluice.stop()
    await sshd.stop()
  })

  /** Everything tmux can tell of is on at once, the last title half sent. */
  const everything = String.raw`printf "\033[?1049h\033[H\033[2J\033[?1h\033=\033[4h\033[?25l\033[?1003h\033[?1006h\033[?2004h\033[3;9r\033[41m\104RAWN\033]0;half"; exec sleep 600`
  for (const [program, command, drawn] of [
    ["less", "seq 1000 | less", /^1\n2\n3\n/],
    ["tmux", `exec env -u TMUX tmux -L ${inner} -f /dev/null new-session 'printf "\\167ithin"; exec sleep 600'`, /^within$/m],
    ["a program that has switched on everything", everything, /DRAWN/],
  ] as const) {
    test(`in ${program}: the reason stands on the normal screen, below what was there, and the person's own shell is usable`, async () => {
      const grant = await sluice.grant(alice, "prod-host", { by: bob, for: "1h" })
      const ssh = ["ssh", ...sluice.ssh(alice), "-tt", "-J", "gateway", `${sshd.login}@prod-host`].join(" ")
      await pane.type(`clear; echo ear''lier\n`)
      await pane.shows(/^earlier\nown\$$/m)
      await pane.type(`${ssh} '${command.replaceAll("'", `'\\''`)}'\n`)
      await pane.shows(drawn)
      assert.equal(await pane.flag("alternate_on"), "1")
      await sluice.revoke(grant, bob)
      await pane.shows(/your access to prod-host ended at [^]*\nown\$\s*$/)
      await pane.type("echo us''able\n")
      const screen = await pane.shows(/^usable$/m)
      assert.match(screen, /^earlier\nown\$ ssh .*\n(?:.*\n){1,8}\n?sluice: your access to prod-host ended at/)
      assert.doesNotMatch(screen, /DRAWN|within|^2$/m)
      const left = await Promise.all(Object.keys(switches).map(async (name) => [name, await pane.flag(name)]))
      assert.deepEqual(Object.fromEntries(left), switches)
    })
  }

  test("at a command without escape sequences nothing but the words is added", async () => {
    const grant = await sluice.grant(alice, "prod-host", { by: bob, for: "1h" })
    const ssh = ["ssh", ...sluice.ssh(alice), "-tt", "-J", "gateway", `${sshd.login}@prod-host`].join(" ")
    await pane.type(`clear; ${ssh} 'echo run''ning; exec sleep 600' 2>&1 | cat -v\n`)
    await pane.shows(/^running/m)
    await sluice.revoke(grant, bob)
    assert.doesNotMatch(await pane.shows(/ended at [^]*own\$\s*$/), /\^\[/)
  })
})
