// Ansible itself, as people have it set up: pipelining, and masters that persist. By both ways in, with all it ran on record; and what
// it says when the access ends in the middle of a play.
import assert from "node:assert/strict"
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { after, before, suite, test } from "node:test"
import { type People, people } from "../support/people.ts"
import { type Ran, run } from "../support/run.ts"
import { scratch } from "../support/scratch.ts"
import { type Sluice, startSluice } from "../support/sluice.ts"
import { sshTarget } from "../support/sluice_config.ts"
import { type Sshd, startSshd } from "../support/sshd.ts"
import { needs } from "../support/tools.ts"

suite("ssh: Ansible", { skip: needs("ssh", "sshd", "ansible-playbook"), concurrency: 1 }, () => {
  const { alice, bob }: People = people()
  const folder = scratch("ansible")
  const file = (name: string): string => join(folder, name)
  let sshd: Sshd
  let sluice: Sluice

  before(async () => {
    sshd = await startSshd()
    sluice = await startSluice({ users: [alice, bob], targets: ["prod-host", "brief-host"].map((name) => sshTarget(name, sshd)) })
    await sluice.grant(alice, "prod-host", { by: bob, for: "1h" })
    mkdirSync(file("cp"))
    writeFileSync(
      file("ansible.cfg"),
      [
        "[defaults]",
        "host_key_checking = True",
        "nocows = True",
        `local_tmp = ${file("local")}`,
        "[ssh_connection]",
        "pipelining = True",
        "ssh_args = -C -o ControlMaster=auto -o ControlPersist=60s",
        `control_path_dir = ${file("cp")}`,
        "control_path = %(directory)s/%%C",
        "",
      ].join("\n"),
    )
  })
  after(async () => {
    await sluice.stop()
    await sshd.stop()
  })

  /** `hosts`: names of the play, each with what the inventory says of it. */
  async function play(name: string, hosts: Readonly<Record<string, string>>, tasks: string): Promise<Ran> {
    const common = `ansible_python_interpreter=/usr/bin/python3 ansible_remote_tmp=${file("remote")}`
    const inventory = file(`${name}.ini`)
    writeFileSync(
      inventory,
      Object.entries(hosts)
        .map(([host, vars]) => `${host} ${vars} ${common}\n`)
        .join(""),
    )
    writeFileSync(file(`${name}.yaml`), `- hosts: all\n  gather_facts: false\n  tasks:\n${tasks}`)
    const env = { ANSIBLE_CONFIG: file("ansible.cfg"), ANSIBLE_HOME: file("home"), HOME: folder, ANSIBLE_NOCOLOR: "1", LC_ALL: "C.UTF-8" }
    const ran = await run("ansible-playbook", ["-i", inventory, file(`${name}.yaml`)], { env })
    for (const vars of Object.values(hosts)) await leave(vars)
    return ran
  }

  /** Ends the master that persists. */
  async function leave(vars: string): Promise<void> {
    const [, host] = /ansible_host=(\S+)/.exec(vars) ?? []
    const [, user] = /ansible_user=(\S+)/.exec(vars) ?? []
    const words = /ansible_ssh_common_args='([^']*)'/.exec(vars)?.[1]?.split(" ") ?? []
    await run("ssh", [...words, "-o", `ControlPath=${file("cp")}/%C`, "-l", user!, "-O", "exit", host!])
  }

  const jump = (target: string): string =>
    `ansible_host=${target} ansible_user=${sshd.login} ansible_ssh_common_args='${[...sluice.ssh(alice), "-J", "gateway"].join(" ")}'`
  const direct = (target: string): string =>
    `ansible_host=gateway ansible_user=${sshd.login}@${target} ansible_ssh_common_args='${sluice.ssh(alice).join(" ")}'`

  test("a play by both ways in: modules, a file, a handler of results; one session each, and every command on record", async () => {
    const tasks = `
    - name: a module
      ansible.builtin.ping:
    - name: a command
      ansible.builtin.command: echo "{{ inventory_hostname }} ran"
      register: said
      changed_when: false
    - name: a file
      ansible.builtin.copy: { content: "{{ said.stdout }}\\n", dest: "${file("made")}-{{ inventory_hostname }}", mode: "0600" }
    - name: by a shell
      ansible.builtin.shell: cat ${file("made")}-{{ inventory_hostname }} | tr a-z A-Z
      register: shown
    - ansible.builtin.debug: { var: shown.stdout }
`
    const before = new Set(sluice.recorded())
    const ran = await play("both", { jumped: jump("prod-host"), straight: direct("prod-host") }, tasks)
    assert.equal(ran.status, 0, ran.stdout + ran.stderr)
    for (const host of ["jumped", "straight"]) {
      assert.match(ran.stdout, new RegExp(`"shown.stdout": "${host.toUpperCase()} RAN"`))
      assert.equal(readFileSync(`${file("made")}-${host}`, "utf8"), `${host} ran\n`)
    }
    const recordings = sluice.recorded().flatMap((id) => (before.has(id) ? [] : [sluice.recording(id)]))
    assert.equal(recordings.length, 2, "one session for each way in")
    for (const lines of recordings) {
      const commands = lines.flatMap((line) => (line.kind === "action" && line.action.kind === "ssh.exec" ? [line.action.command] : []))
      assert.ok(commands.filter((command) => command.includes("/usr/bin/python3")).length >= 4, commands.join("\n"))
      const outcomes = lines.filter((line) => line.kind === "outcome")
      assert.ok(outcomes.every((line) => line.kind === "outcome" && line.status === "ok"))
      assert.ok(
        lines.some((line) => line.kind === "data" && line.stream === "stdin"),
        "what was piped is there, up to the bound",
      )
    }
  })

  test('access that ends in the middle of a play is "unreachable" to Ansible, with our words, and nothing after it runs', async () => {
    // It begins with the first connection, however long Ansible takes to get there.
    await sluice.grant(alice, "brief-host", { by: bob, for: "7s", first_use_within_ms: 60_000 })
    const tasks = `
    - ansible.builtin.command: echo in time
    - ansible.builtin.command: sleep 100
    - ansible.builtin.command: touch ${file("too-late")}
`
    const ran = await play("brief", { jumped: jump("brief-host"), straight: direct("brief-host") }, tasks)
    for (const host of ["jumped", "straight"]) {
      assert.match(ran.stdout, new RegExp(`^changed: \\[${host}\\]$`, "m"))
      assert.match(
        ran.stdout,
        new RegExp(`^fatal: \\[${host}\\]: UNREACHABLE! .*sluice: your access to brief-host ended at .* expired\\)`, "m"),
      )
    }
    assert.equal(ran.status, 4, "as Ansible says it of hosts that it cannot reach")
    assert.equal(existsSync(file("too-late")), false)
  })

  test("without access, the first task is unreachable with the line that asks", async () => {
    const ran = await play(
      "none",
      { none: `${jump("brief-host")} ansible_ssh_extra_args='-o BatchMode=yes'` },
      `    - ansible.builtin.ping:\n`,
    )
    assert.match(ran.stdout, /UNREACHABLE! .*sluice: you have no access to this target now\. Ask for it: ssh gateway request brief-host/)
  })
})
