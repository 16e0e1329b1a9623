// The gateway's own cookies among an application's: what is ours stays here, and what is not as it should be is nothing.
import assert from "node:assert/strict"
import { test } from "node:test"
import { readCookies, setsOurs } from "../../../protocols/http/cookies.ts"
import { readHeaders, responseHeaders } from "../../../protocols/http/headers.ts"

test("cookies: an application gets its own and never ours", () => {
  const { token, logins, rest } = readCookies("a=1; __Host-sluice=t.o-k_n; __Host-sluice-login-0123456789ab=x.y;b=2;c")
  assert.equal(token, "t.o-k_n")
  assert.deepEqual([...logins], [["__Host-sluice-login-0123456789ab", "x.y"]])
  assert.equal(rest, "a=1; b=2; c")
})

for (const [what, header, rest] of [
  ["two of them", "__Host-sluice=a; x=1; __Host-sluice=b", "x=1"],
  ["an empty one", "__Host-sluice=; x=1", "x=1"],
  ["one without a value", "__Host-sluice; x=1", "x=1"],
  ["one that is no token", '__Host-sluice="a b"; x=1', "x=1"],
  ["one in another case", "__host-SLUICE=a; x=1", "x=1"],
  ["one inside another's value", "x=__Host-sluice=a", "x=__Host-sluice=a"],
  ["one of another name", "__Host-sluicer=a", undefined],
] as const)
  test(`cookies: ${what}: nobody`, () => {
    const read = readCookies(header)
    assert.deepEqual([read.token, read.rest], [undefined, rest])
  })

test("cookies: a header that has none of ours passes as it is", () => {
  for (const header of ["a=1;  b", "", ";;", undefined]) assert.equal(readCookies(header).rest, header)
})

test("cookies: several Cookie headers are one", () => {
  const { cookie, passing } = readHeaders(["Host", "a", "Cookie", "a=1", "cookie", "__Host-sluice=t"])
  assert.equal(cookie, "a=1; __Host-sluice=t")
  assert.deepEqual(passing, [])
})

test("cookies: an application cannot set one of ours", () => {
  const raw = ["Set-Cookie", "a=1", "set-cookie", " __HOST-sluice=evil; Path=/", "Set-Cookie", "__Host-sluice-login-x=1"]
  assert.deepEqual(responseHeaders(raw, { origin: "http://app", prefix: "" }), ["Set-Cookie", "a=1"])
  assert.equal(setsOurs("sluice=1"), false)
})
