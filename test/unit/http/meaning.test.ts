import assert from "node:assert/strict"
import { test } from "node:test"
import { meaningfulHeaders } from "../../../protocols/http/meaning.ts"

test("meaning: what a request does is kept, in one order, and every one of several", () => {
  const passing = ["Depth", "infinity", "destination", "/b", "Content-Type", "a/b", "Destination", "/c", "Impersonate-User", "root"]
  assert.deepEqual(meaningfulHeaders(passing), [
    ["Content-Type", "a/b"],
    ["Depth", "infinity"],
    ["destination", "/b"],
    ["Destination", "/c"],
    ["Impersonate-User", "root"],
  ])
})

test("meaning: who asks, with what program and in which try is not a part of it", () => {
  const names = ["User-Agent", "Accept-Encoding", "If-None-Match", "Sec-Fetch-Site", "X-Request-ID", "traceparent", "Host", "Referer"]
  const proofs = ["Cookie", "Authorization", "X-Api-Key", "X-Auth-Token", "Private-Token", "X-CSRF-Token", "X-Amz-Security-Token"]
  assert.deepEqual(meaningfulHeaders([...names, ...proofs].flatMap((name) => [name, "x"])), [])
})
