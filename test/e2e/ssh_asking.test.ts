// Asking for access from within ssh: at a terminal, by both ways in, and every way in which the waiting can end.
import assert from "node:assert/strict"
import { after, afterEach, before, suite, test } from "node:test"
import type { RequestView } from "../../src/api/schema.ts"
import { openPane, type Pane } from "../support/pane.ts"
import { type People, people } from "../support/people.ts"
import { run } from "../support/run.ts"
import { type Sluice, startSluice } from "../support/sluice.ts"
import { type Section, sshTarget } from "../support/sluice_config.ts"
import { type Sshd, startSshd } from "../support/sshd.ts"
import { needs } from "../support/tools.ts"
import { eventually } from "../support/wait.ts"

suite("ssh: asking from within", { skip: needs("ssh", "sshd", "tmux"), concurrency: 1 }, () => {
  const { alice, bob }: People = people()
  let sshd: Sshd
  let sluice: Sluice
  let pane: Pane

  const named = (name: string, more: Section = {}): Section => ({ ...sshTarget(name, sshd), ...more })
  const policy = {
    access: [
      { who: ["engineers"], targets: "prod-host", max: "4h", approve: { by: ["oncall"] }, reason: "required" },
      { who: ["engineers"], targets: "quick", max: "4h", approve: { by: ["oncall"] }, pending: "3s" },
      { who: ["engineers"], targets: ["impatient", "silent"], max: "4h", approve: { by: ["oncall"] } },
      { who: ["engineers"], targets: "open-house", max: "30m", approve: "auto" },
      { who: ["engineers"], targets: "step-up", max: "1h", approve: { by: ["oncall"] }, login: { max_age: "5m" } },
    ],
  }

  before(async () => {
    sshd = await startSshd({ authorized: [alice.publicKey] })
    const targets = [
      ...["prod-host", "quick", "open-house", "step-up", "forbidden"].map((name) => named(name)),
      named("impatient", { ask: { wait: "2s" } }),
      named("silent", { ask: "off" }),
    ]
    sluice = await startSluice({ users: [alice, bob], targets, policy })
  })
  after(async () => {
    await sluice.stop()
    await sshd.stop()
  })
  afterEach(async () => {
    await pane?.close()
    for (const { id } of await pending()) await sluice.api(alice).call("withdraw", { id, body: {} })
    for (const { id } of (await sluice.api(alice).call("grants", { query: {} })).grants)
      await sluice.api(alice).call("drop", { id, body: {} })
  })

  const pending = async (): Promise<RequestView[]> => (await sluice.api(alice).call("requests", { query: { status: "pending" } })).requests
  const waiting = (): Promise<RequestView> => eventually("a request to wait", async () => (await pending())[0])
  const statusOf = async ({ id }: RequestView): Promise<string> => (await sluice.api(alice).call("request", { id, query: {} })).status

  const jump = (target: string): string[] => ["-J", "gateway", `${sshd.login}@${target}`]
  const direct = (target: string): string[] => [`${sshd.login}@${target}@gateway`]
  const sit = async (words: readonly string[], command: string): Promise<void> => {
    pane = await openPane({ columns: 140 })
    await pane.type(`ssh ${sluice.ssh(alice).join(" ")} ${words.join(" ")} ${command}; echo "status $?"\n`)
  }
  const answer = async (reason: string, duration = ""): Promise<string> => {
    await pane.shows(/Reason:$/m)
    await pane.type(`${reason}\n`)
    await pane.shows(/For how long\? \[1h, at most 4h\]$/m)
    await pane.type(`${duration}\n`)
    return pane.shows(/Waiting for a decision; Ctrl-C takes the request back\./)
  }

  for (const [way, words] of [
    ["ssh -J gateway login@target", jump],
    ["ssh login@target@gateway", direct],
  ] as const) {
    test(`${way}: asked why and for how long, they wait, and are in when it is approved`, async () => {
      await sit(words("prod-host"), "'echo I am in'")
      await pane.shows(/Ask for it: ssh gateway request prod-host --for 1h[^]*Or ask here, and wait\. oncall may approve\./)
      const screen = await answer("INC-7: pods crash", "20m")
      const request = await waiting()
      assert.match(screen, new RegExp(`Request ${request.id} for prod-host as ${sshd.login}, 20m\\. To be approved by oncall\\.`))
      assert.match(screen, new RegExp(`/requests/${request.id}$`, "m"))
      assert.deepEqual([request.reason, request.duration_ms, request.as], ["INC-7: pods crash", 1_200_000, [sshd.login]])
      await sluice.api(bob).call("approve", { id: request.id, body: {} })
      await pane.shows(/it is approved[^]*^I am in$[^]*^status 0$/m)
      const [session] = await sluice.sessions(alice)
      const header = sluice.recording(session!.id)[0] as unknown as { request: number }
      assert.equal(header.request, request.id)
    })

    test(`${way}: denied, they read the words, escaped`, async () => {
      await sit(words("prod-host"), "true")
      await answer("please")
      await sluice.api(bob).call("deny", { id: (await waiting()).id, body: { reason: "not on a \\Friday" } })
      await pane.shows(/request \d+ was denied by bob@example\.com: not on a \\\\Friday[^]*^status 255$/m)
    })

    test(`${way}: Ctrl-C takes it back`, async () => {
      await sit(words("prod-host"), "true")
      await answer("please")
      const request = await waiting()
      await pane.type("\u0003")
      await eventually("the request to be withdrawn", async () => (await statusOf(request)) === "withdrawn")
    })

    test(`${way}: nobody decides in the rule's time`, async () => {
      await sit(words("quick"), "true")
      await answer("please")
      await pane.shows(/nobody decided about request \d+ in time[^]*^status 255$/m)
    })

    test(`${way}: a rule that gives it by itself and wants to know nothing is not in anybody's way`, async () => {
      const ran = await run("ssh", [...sluice.ssh(alice), "-o", "BatchMode=yes", ...words("open-house"), "echo in"])
      assert.equal(ran.stdout, "in\n", ran.stderr)
    })

    test(`${way}: who answers no questions reads the line that asks, and nothing is filed`, async () => {
      for (const more of [["-o", "BatchMode=yes"], []]) {
        const ran = await run("ssh", [...sluice.ssh(alice), ...more, ...words("prod-host"), "true"])
        assert.equal(ran.status, 255)
        assert.match(ran.stderr, /you have no access to this target now\. Ask for it: ssh gateway request prod-host --for 1h/)
      }
      assert.deepEqual(await pending(), [])
    })

    test(`${way}: what may not be asked for here reads like what is not there`, async () => {
      const answers = await Promise.all(
        ["forbidden", "no-such-thing", "step-up", "silent"].map(async (name) => {
          const ran = await run("ssh", [...sluice.ssh(alice), ...words(name), "true"])
          return ran.stderr.replaceAll(name, "X")
        }),
      )
      assert.match(answers[0]!, /you have no access to this target now/)
      for (const one of answers) assert.equal(one, answers[0])
    })
  }

  test("what cannot be a reason or a duration is asked again, and control characters never reach an approver", async () => {
    await sit(jump("prod-host"), "true")
    await pane.shows(/Reason:$/m)
    await pane.type("up \u202e down\n")
    await pane.shows(/For how long\?/)
    await pane.type("9h\n")
    await pane.shows(/sluice: at most 4h/)
    await pane.type("soon\n")
    await pane.shows(/a duration looks like 45m/)
    await pane.type("1h\n")
    await pane.shows(/a reason is plain words[^]*Reason:\n*$/)
    await pane.type("fine now\n")
    await pane.shows(/a reason is plain words[^]*fine now\n[^]*For how long/)
    await pane.type("\n")
    await pane.shows(/Waiting for a decision/)
    assert.equal((await waiting()).reason, "fine now")
  })

  test("a grant that comes in another way lets them in, and what they asked is taken back", async () => {
    await sit(jump("prod-host"), "'echo I am in'")
    await answer("please")
    const request = await waiting()
    await sluice.grant(alice, "prod-host", { by: bob, for: "1h" })
    await pane.shows(/^I am in$/m)
    await eventually("the request to be withdrawn", async () => (await statusOf(request)) === "withdrawn")
  })

  test("the tool's time is up: it ends, and the request waits on", async () => {
    await sit(jump("impatient"), "true")
    await answer("please")
    const request = await waiting()
    await pane.shows(
      new RegExp(`nobody has decided about request ${request.id} in 2s[^]*ssh gateway withdraw ${request.id}[^]*^status 255$`, "m"),
    )
    assert.equal(await statusOf(request), "pending")
  })
})
