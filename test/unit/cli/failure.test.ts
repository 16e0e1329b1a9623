// What a person reads when a verb fails.
import assert from "node:assert/strict"
import { test } from "node:test"
import type { Context } from "../../../src/cli/context.ts"
import { tell } from "../../../src/cli/failure.ts"
import { GatewayError } from "../../../src/core/errors.ts"

function told(failure: unknown, about: Partial<Context>, json = false): { status: number; out: string; err: string } {
  let out = ""
  let err = ""
  const io = { write: (text: string) => void (out += text), error: (text: string) => void (err += text), columns: 80 }
  const status = tell({ io, call: "sluice", ...about } as Context, failure, json)
  return { status, out, err }
}

const unreachable = new GatewayError("stale", {}, new Error("connect ECONNREFUSED 203.0.113.7:8443"))

test("a service that cannot be called: on one's own machine the reason is told, over ssh it is the gateway's to know", () => {
  const own = told(unreachable, { own: true })
  assert.equal(own.status, 1)
  assert.match(
    own.err,
    /^sluice: the approval service cannot be reached from here: connect ECONNREFUSED 203\.0\.113\.7:8443\nIt is called at /,
  )
  const over_ssh = told(unreachable, { call: "ssh gw" })
  assert.equal(over_ssh.status, 1)
  assert(!over_ssh.err.includes("203.0.113.7"))
  assert.equal((JSON.parse(told(unreachable, { own: true }, true).out) as { error: { code: string } }).error.code, "stale")
})

test("a service that answers that it cannot tell now is believed", () => {
  assert.match(told(new GatewayError("stale"), { own: true }).err, /^sluice: access cannot be checked right now/)
})
