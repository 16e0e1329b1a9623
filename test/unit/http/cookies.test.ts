// The gateway's own cookies among an application's: what is ours stays here, and what is not as it should be is nothing.
import assert from "node:assert/strict"
import { test } from "node:test"
import { applicationCookie, readCookies } from "../../../protocols/http/cookies.ts"
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
  const raw = [
    "Set-Cookie",
    "a=1",
    "set-cookie",
    " __HOST-sluice=evil; Path=/",
    "Set-Cookie",
    "__Host-sluice-login-x=1",
    "Set-Cookie",
    "=__Host-sluice=x",
  ]
  assert.deepEqual(responseHeaders(raw, { origin: "http://app", prefix: "" }), ["Set-Cookie", "a=1"])
  assert.equal(
    applicationCookie("sluice=1", (path) => path),
    "sluice=1",
  )
})

test("cookies: an application sets none for another one or for the gateway, and its paths are those that are seen here", () => {
  const cookie = (line: string, prefix = ""): string | undefined =>
    responseHeaders(["Set-Cookie", line], { origin: "http://app", prefix })[1]
  assert.equal(cookie("a=1; Domain=gw.example.com; Path=/; Secure"), "a=1; Path=/; Secure")
  assert.equal(cookie("a=1;DOMAIN = .example.com"), "a=1")
  assert.equal(cookie("domain=x; path=/app/x; HttpOnly"), "domain=x; path=/app/x; HttpOnly", "the first is its name")
  for (const [path, seen] of [
    ["/app", "/"],
    ["/app/", "/"],
    ["/app/x", "/x"],
    ["/apps", "/apps"],
    ["/", "/"],
  ])
    assert.equal(
      cookie(`a=b; Expires=Wed, 1 Jan 2031 00:00:00 GMT; Path=${path}`, "/app"),
      `a=b; Expires=Wed, 1 Jan 2031 00:00:00 GMT; Path=${seen}`,
    )
})
