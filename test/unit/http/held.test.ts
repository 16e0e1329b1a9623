import assert from "node:assert/strict"
import { suite, test } from "node:test"
import { eventually } from "../../support/wait.ts"
import { createRig, type Rig } from "./rig.ts"
import { actionRule } from "../../support/action_rule.ts"

const holding = actionRule()

/** What an approver is shown of `request`. */
async function shown(rig: Rig, request: string): Promise<string> {
  rig.harness.policy.actions = [holding]
  const before = rig.harness.holds.asked.length
  rig.send(request)
  await eventually("somebody is asked", () => rig.harness.holds.asked.length > before, 10_000)
  return rig.harness.holds.asked.at(-1)?.action.text ?? ""
}

suite("http: what an approver is shown", () => {
  const head = (rig: Rig): string => `Host: shop.gateway\r\nX-Sluice-Token: ${rig.token}\r\n`

  test("is the method that would run, also beside an Upgrade that asks for nothing", async () => {
    const rig = await createRig()
    for (const upgrade of ["", "Upgrade: websocket\r\n", "Upgrade: websocket\r\nConnection: keep-alive\r\n"])
      assert.match(await shown(rig, `DELETE /api/users/7 HTTP/1.1\r\n${head(rig)}${upgrade}\r\n`), /^DELETE \/api\/users\/7$/m)
    const asked = "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: eA==\r\n"
    assert.match(await shown(rig, `GET /live HTTP/1.1\r\n${head(rig)}${asked}\r\n`), /^WEBSOCKET \/live$/m)
  })

  test("is one line for each header, whatever is in it", async () => {
    const rig = await createRig()
    const text = await shown(rig, `POST /a?b=1 HTTP/1.1\r\n${head(rig)}X-Note: a\x85\xe2\x80\xaeDELETE /\r\nContent-Length: 2\r\n\r\nhi`)
    assert.deepEqual(text.split("\n").length, 4)
  })
})
