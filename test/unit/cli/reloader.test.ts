// Reading a config again while it is in use: all of it or nothing, and words about which.
import assert from "node:assert/strict"
import { mkdirSync, writeFileSync } from "node:fs"
import { createConnection } from "node:net"
import { join } from "node:path"
import test, { type TestContext } from "node:test"
import { askReload, openControl } from "../../../src/cli/running/control.ts"
import { type Outcome, Reloader } from "../../../src/cli/running/reloader.ts"
import { loadConfig } from "../../../src/config/load.ts"
import { openState } from "../../../src/config/state.ts"
import { createLog } from "../../../src/observe/log.ts"
import { LineSink } from "../../support/line_sink.ts"
import { scratch } from "../../support/scratch.ts"

const text = (users: string): string =>
  `gateway: { name: gw.example.com, ssh: { listen: 127.0.0.1:2222 } }\nidentity: { users: [${users}] }\ntargets: []\npolicy: { access: [] }\n`

const root = scratch("reloader")
let folders = 0
const newFolder = (): string => {
  const folder = join(root, String(++folders))
  mkdirSync(folder, { mode: 0o700 })
  return folder
}

async function setUp() {
  const path = join(newFolder(), "sluice.yaml")
  const write = (content: string): void => writeFileSync(path, content)
  write(text("{ name: alice }"))
  const inUse = await loadConfig(path)
  assert.ok(inUse.ok)
  const sink = new LineSink()
  const taken: string[][] = []
  const refused: { digest: string | undefined; words: readonly string[] }[] = []
  const part = {
    fail: undefined as Error | undefined,
    reload: async ({ config }: { config: { identity: { users: readonly { name: string }[] } } }) => {
      if (part.fail) throw part.fail
      taken.push(config.identity.users.map(({ name }) => name))
    },
    refused: async (about: (typeof refused)[number]) => void refused.push(about),
  }
  const reloader = new Reloader({ path, inUse, running: part, log: createLog("debug", sink) })
  return { path, write, part, taken, refused, reloader, log: () => sink.text }
}

test("reload: a sound file is put in place, and what is different is told", async () => {
  const { write, reloader, taken } = await setUp()
  write(text("{ name: bob }, { name: carol }"))
  assert.deepEqual(await reloader.reload(), { ok: true, changes: ["users +2 -1"] })
  assert.deepEqual(taken, [["bob", "carol"]])
  assert.deepEqual(await reloader.reload(), { ok: true, changes: [] })
  assert.equal(taken.length, 1, "the same again is not put in place again")
})

test("reload: a file that does not check is refused in the words of `sluice check`, on record, and the next sound one is taken", async () => {
  const { path, write, reloader, taken, refused, log } = await setUp()
  write(text("{ nam: bob }"))
  const outcome = await reloader.reload()
  const checked = await loadConfig(path)
  assert.ok(!checked.ok && !outcome.ok)
  assert.deepEqual(
    outcome.problems,
    checked.problems.map(({ file, line, column, message }) => `${file}:${line}:${column}: ${message}`),
  )
  assert.match(outcome.problems.join("\n"), /sluice\.yaml:2:\d+: .*nam/)
  assert.deepEqual(refused, [{ digest: checked.digest, words: outcome.problems }])
  assert.match(log(), /the new config cannot be used; the one in use stays/)
  write(text("{ name: bob }"))
  assert.ok((await reloader.reload()).ok)
  assert.deepEqual(taken, [["bob"]])
})

test("reload: what takes a restart refuses the whole of it", async () => {
  const { write, reloader, taken } = await setUp()
  write(text("{ name: bob }").replace("2222", "2223"))
  const outcome = await reloader.reload()
  assert.ok(!outcome.ok)
  assert.match(outcome.problems.join("\n"), /sluice\.yaml:1:\d+: gateway\.ssh\.listen cannot change while sluice runs: it takes a restart$/)
  assert.deepEqual(taken, [])
})

test("reload: one that could not be put in place is tried again as a whole", async () => {
  const { write, reloader, taken, part } = await setUp()
  write(text("{ name: bob }"))
  part.fail = new Error("the store is away")
  assert.deepEqual(await reloader.reload(), { ok: false, problems: ["it could not be put in place: the store is away"] })
  part.fail = undefined
  assert.deepEqual(await reloader.reload(), { ok: true, changes: ["users +1 -1"] })
  assert.deepEqual(taken, [["bob"]])
})

test("reload: asked for many times at once, it is done as often as needed, and the last one reads the file as it is then", async () => {
  const { write, reloader, taken } = await setUp()
  write(text("{ name: bob }"))
  const first = reloader.reload()
  write(text("{ name: carol }"))
  await Promise.all([first, ...Array.from({ length: 20 }, () => reloader.reload())])
  assert.deepEqual(taken.at(-1), ["carol"])
  assert.ok(taken.length <= 2)
})

async function control(t: TestContext, reload: () => Promise<Outcome>, folder = newFolder()) {
  const state = await openState(folder)
  const sink = new LineSink()
  const opened = await openControl({ state, role: "all", reload, log: createLog("debug", sink) })
  t.after(() => opened.close())
  return { state, opened, log: () => sink.text }
}
const fine: Outcome = { ok: true, changes: ["users +1"] }

test("control: whoever asks hears what came of it; nobody is there after it has closed", async (t) => {
  const asked = Promise.withResolvers<void>()
  const done = Promise.withResolvers<Outcome>()
  const { state, opened } = await control(t, () => (asked.resolve(), done.promise))
  const answer = askReload(state, "all")
  await asked.promise
  await new Promise(setImmediate) // whoever asks has said all they have to say by now
  done.resolve(fine)
  assert.deepEqual(await answer, fine)
  assert.equal(await askReload(state, "gateway"), undefined)
  await opened.close()
  assert.equal(await askReload(state, "all"), undefined)
  assert.equal(await askReload(await openState(newFolder()), "all"), undefined)
})

test("control: a folder whose path is longer than a socket's may be works too", async (t) => {
  const folder = join(newFolder(), "x".repeat(120))
  mkdirSync(folder)
  const { state } = await control(t, async () => fine, folder)
  assert.deepEqual(await askReload(state, "all"), fine)
})

test("control: of two with one state folder the first is the one that is asked, and the second says so", async (t) => {
  const { state } = await control(t, async () => fine)
  const second = await control(t, async () => ({ ok: false, problems: ["the second"] }), state.folder)
  assert.match(second.log(), /another sluice with this state folder and role runs/)
  assert.deepEqual(await askReload(state, "all"), fine)
  await second.opened.close()
  assert.deepEqual(await askReload(state, "all"), fine)
})

test("control: what one that was killed has left does not stand in the way", async (t) => {
  const { state, opened } = await control(t, async () => fine)
  await opened.close()
  writeFileSync(state.path("run", "all.sock"), "")
  const again = await control(t, async () => fine, state.folder)
  assert.deepEqual(await askReload(again.state, "all"), fine)
})

test("control: whoever says anything else is sent away, and reloads nothing", async (t) => {
  let reloads = 0
  const { state } = await control(t, async () => {
    reloads++
    return fine
  })
  for (const words of ["stop\n", "reload now\n", "\n", "x".repeat(100_000)]) {
    const socket = createConnection(state.path("run", "all.sock"))
    socket.on("error", () => {})
    socket.write(words)
    const heard: Buffer[] = []
    socket.on("data", (chunk: Buffer) => heard.push(chunk))
    await new Promise((resolve) => socket.once("close", resolve))
    assert.equal(Buffer.concat(heard).length, 0, words.slice(0, 20))
  }
  assert.equal(reloads, 0)
})
