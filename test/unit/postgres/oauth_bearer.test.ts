import assert from "node:assert/strict"
import { test } from "node:test"
import { setImmediate as nextTurn } from "node:timers/promises"
import { int32, message } from "../../../protocols/postgres/codec.ts"
import { downstreamOf } from "../../../protocols/postgres/downstream.ts"
import { readBearer, sendElsewhere } from "../../../protocols/postgres/oauth_bearer.ts"
import { GatewayError } from "../../../src/core/errors.ts"
import { wire } from "../../support/wire.ts"

const initial = (response: string, mechanism = "OAUTHBEARER", length = Buffer.byteLength(response)) =>
  message("p", Buffer.from(`${mechanism}\0`), int32(length), Buffer.from(response))

function arriving(...chunks: readonly Buffer[]) {
  const { near, far } = wire()
  for (const chunk of chunks) far.write(chunk)
  const said: Buffer[] = []
  far.on("data", (chunk: Buffer) => said.push(chunk))
  return { side: downstreamOf(near), far, said: () => Buffer.concat(said).toString("latin1") }
}

test("oauth: the token of a bearer is read, and one who has none yet is told apart from one who left", async () => {
  for (const [response, token] of [
    ["n,,\u0001auth=Bearer abc.DEF-1_~+/==\u0001\u0001", "abc.DEF-1_~+/=="],
    ["y,,\u0001host=gw\u0001port=5432\u0001auth=bearer  x\u0001\u0001", "x"],
    ["n,,\u0001auth=\u0001\u0001", "none"],
  ] as const) {
    const { side, said } = arriving(initial(response))
    const read = await readBearer(side)
    assert.equal(typeof read === "object" ? read.reveal() : read, token)
    await nextTurn() // for what was said to arrive
    assert.match(said(), /^R[\s\S]{4}\0\0\0\nOAUTHBEARER\0\0$/)
  }
  const left = arriving()
  left.far.end()
  assert.equal(await readBearer(left.side), undefined)
})

test("oauth: whatever is not such a response breaks the protocol", async () => {
  const sound = "n,,\u0001auth=Bearer abc\u0001\u0001"
  for (const answer of [
    message("p", "abc"),
    message("Q", "SELECT 1"),
    initial(sound, "SCRAM-SHA-256"),
    initial(sound, "OAUTHBEARER", 3),
    initial(sound, "OAUTHBEARER", -1),
    initial("n,a=alice,\u0001auth=Bearer abc\u0001\u0001"),
    initial("p=tls-exporter,,\u0001auth=Bearer abc\u0001\u0001"),
    initial("n,,\u0001auth=Bearer abc\u0001"),
    initial("n,,\u0001auth=Bearer a\u0001auth=Bearer b\u0001\u0001"),
    initial("n,,\u0001auth=Bearer a b\u0001\u0001"),
    initial("n,,\u0001auth=Basic abc\u0001\u0001"),
    initial("n,,\u0001host=gw\u0001\u0001"),
    initial("n,,\u0001\u0001"),
    initial(""),
  ])
    await assert.rejects(
      readBearer(arriving(answer).side),
      (failure) => failure instanceof GatewayError && failure.code === "protocol_broken",
      answer.toString("latin1"),
    )
})

test("oauth: a client hears where a token is to be had before it hears that it has none", async () => {
  const { side, said } = arriving(message("p", Buffer.from("\u0001")))
  await sendElsewhere(side, "https://gw.example.com:8443")
  await nextTurn()
  const [, json = ""] = /^R[\s\S]{8}(.*)$/.exec(said()) ?? []
  assert.deepEqual(JSON.parse(json), {
    status: "invalid_token",
    scope: "",
    "openid-configuration": "https://gw.example.com:8443/.well-known/openid-configuration",
  })
  await assert.rejects(sendElsewhere(arriving(message("p", "again")).side, "https://gw.example.com"))
})
