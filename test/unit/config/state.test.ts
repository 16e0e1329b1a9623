import assert from "node:assert/strict"
import { execFile } from "node:child_process"
import { chmod, mkdtemp, readdir, rm, stat, writeFile } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { test, type TestContext } from "node:test"
import { promisify } from "node:util"
import ssh2 from "ssh2"
import { generateOpensshKey } from "../../../src/config/openssh_key.ts"
import { openState } from "../../../src/config/state.ts"
import { needs } from "../../support/tools.ts"

const run = promisify(execFile)

async function folder(t: TestContext): Promise<string> {
  const path = await mkdtemp(join(tmpdir(), "sluice-state-"))
  t.after(() => rm(path, { recursive: true, force: true }))
  return join(path, "data")
}

test("state: a key is made on first use, is the same ever after, and nobody else may read it", async (t) => {
  const path = await folder(t)
  const state = await openState(path)
  const ssh = await state.keys.private("host", "ssh-ed25519")
  const web = await state.keys.private("identity", "p256")
  const secret = await state.secret("gateway")
  const again = await openState(path)
  assert.equal((await again.keys.private("host", "ssh-ed25519")).reveal(), ssh.reveal())
  assert.equal((await again.keys.private("identity", "p256")).reveal(), web.reveal())
  assert.equal((await again.secret("gateway")).reveal(), secret.reveal())
  assert.match(secret.reveal(), /^[\w-]{43}$/)
  assert.equal((await stat(path)).mode & 0o777, 0o700)
  assert.deepEqual(await readdir(join(path, "keys")), ["gateway.secret", "host.key", "identity.key"])
  for (const file of await readdir(join(path, "keys"))) assert.equal((await stat(join(path, "keys", file))).mode & 0o777, 0o600)
})

test("state: calls and processes that start at once get one key", async (t) => {
  const path = await folder(t)
  const state = await openState(path)
  const here = await Promise.all(Array.from({ length: 5 }, () => state.secret("shared").then((secret) => secret.reveal())))
  const module = new URL("../../../src/config/state.ts", import.meta.url).href
  const script = `import { openState } from ${JSON.stringify(module)}; console.log((await (await openState(process.argv[1])).secret("raced")).reveal())`
  const there = await Promise.all(
    Array.from({ length: 4 }, () => run(process.execPath, ["--input-type=module", "-e", script, path]).then(({ stdout }) => stdout)),
  )
  assert.equal(new Set(here).size, 1)
  assert.equal(new Set(there).size, 1)
  assert.deepEqual(await readdir(join(path, "keys")), ["raced.secret", "shared.secret"])
})

test("state: a key that others may read is refused, with the line that mends it", async (t) => {
  const path = await folder(t)
  await (await openState(path)).secret("gateway")
  await chmod(join(path, "keys", "gateway.secret"), 0o644)
  const state = await openState(path)
  await assert.rejects(state.secret("gateway"), /others may read this key \(mode 644\): chmod 600 .*gateway\.secret/)
  await chmod(join(path, "keys", "gateway.secret"), 0o600)
  await assert.doesNotReject(state.secret("gateway"))
})

test("state: a folder that others may write to is refused", async (t) => {
  const path = await folder(t)
  await openState(path)
  await chmod(path, 0o770)
  await assert.rejects(openState(path), /others may write here.*chmod 700/)
})

test("state: a key of another kind, or no key at all, is refused and left as it is", async (t) => {
  const path = await folder(t)
  const state = await openState(path)
  await state.keys.private("host", "p256")
  await assert.rejects(state.keys.private("host", "ssh-ed25519"), /not the kind of key/)
  await writeFile(join(path, "keys", "torn.key"), "", { mode: 0o600 })
  await assert.rejects(state.keys.private("torn", "p256"), /not the kind of key/)
  assert.equal((await stat(join(path, "keys", "torn.key"))).size, 0)
})

test("state: no path leads out of the folder", async (t) => {
  const state = await openState(await folder(t))
  assert.equal(state.path("recordings", "s_1"), join(state.folder, "recordings", "s_1"))
  assert.throws(() => state.path("..", "keys"))
  assert.throws(() => state.path("recordings", "../../x"))
})

test("state: every generated SSH key can be read back and signs", () => {
  for (let count = 0; count < 600; count++) {
    const pair = generateOpensshKey("a comment of any length ".repeat(count % 5))
    const parsed = ssh2.utils.parseKey(pair.private.reveal())
    const shown = ssh2.utils.parseKey(pair.public)
    assert(!(parsed instanceof Error) && !(shown instanceof Error))
    assert(shown.getPublicSSH().equals(parsed.getPublicSSH()))
    assert.equal(shown.verify("data", parsed.sign("data")), true)
  }
})

test("state: ssh-keygen reads a generated key", { skip: needs("ssh-keygen") }, async (t) => {
  const path = await folder(t)
  const state = await openState(path)
  const key = await state.keys.private("host", "ssh-ed25519")
  const { stdout } = await run("ssh-keygen", ["-y", "-f", state.path("keys", "host.key")])
  const parsed = ssh2.utils.parseKey(key.reveal())
  assert(!(parsed instanceof Error))
  assert.equal(stdout.split(" ")[1], parsed.getPublicSSH().toString("base64"))
})
