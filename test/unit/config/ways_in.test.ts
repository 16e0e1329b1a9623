import assert from "node:assert/strict"
import { test } from "node:test"
import { askWith, waysIn } from "../../../src/config/ways_in.ts"
import { testConfig } from "../approvals/service.ts"

const plain = testConfig("/")
const config = {
  ...plain,
  gateway: { ...plain.gateway, ask_with: "ssh -F data/{user}/ssh_config {user}@gw", ssh: { listen: { host: "", port: 22 } } },
}

test("lines: {user} is the name of who reads the line, wherever it stands", () => {
  assert.equal(askWith(config, "bob@example.com"), "ssh -F data/bob@example.com/ssh_config bob@example.com@gw")
  assert.equal(waysIn(config, "bob").useLine("prod-host", "root"), "ssh -F data/bob/ssh_config -J bob@gw root@prod-host")
  assert.equal(askWith(plain, "bob"), "ssh gw")
})

test("lines: for nobody in particular, and for a name that a shell would read more into, the reader writes their own", () => {
  for (const name of [undefined, "o'brien", "$(reboot)", "-oProxyCommand=x", "a b", "a;b", "a/../../x", "\u202ebob", "", "x\n"])
    assert.equal(askWith(config, name), "ssh -F data/<you>/ssh_config <you>@gw", name)
})
