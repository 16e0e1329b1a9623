import assert from "node:assert/strict"
import { suite, test } from "node:test"
import { forwardedFor, readHeaders, responseHeaders } from "../../../protocols/http/headers.ts"
import { limits } from "../../../src/core/limits.ts"

const passing = (...raw: string[]): readonly string[] => readHeaders(["Host", "shop.gateway", ...raw]).passing
const here = { origin: "http://10.0.0.7:3000", prefix: "" }

suite("http: which of a client's headers pass", () => {
  const claims = [
    "Sluice-Identity",
    "sluice-anything",
    "X-Sluice-Subject",
    "X-SLUICE-GROUPS",
    "X-Auth-User",
    "X-Auth-Request-Email",
    "X-Authenticated-User",
    "X-User-Id",
    "X-User-Email",
    "X-Roles",
    "X-authentik-username",
    "X-Consumer-Username",
    "X-Forwarded-For",
    "X-Forwarded-User",
    "X-Forwarded-Host",
    "X-Forwarded-Proto",
    "X-Forwarded",
    "Forwarded",
    "Remote-User",
    "X-Remote-User",
    "X-Remote-Groups",
    "X-WEBAUTH-USER",
    "X-Real-IP",
    "X-Original-URL",
    "X-Rewrite-URL",
    "X-SSL-Client-Cert",
    "X-Goog-Authenticated-User-Email",
    "X-HTTP-Method-Override",
    "X.Auth.User",
    "X~Forwarded~User",
    "iv-user",
    "SM-User",
    "Shib-Session-ID",
    "kubeflow-userid",
    "X-Envoy-External-Address",
    "X-SSL-Cert",
    "Fastly-Client-IP",
    "Proxy",
  ]
  for (const name of claims) test(`${name} is ours to say`, () => assert.deepEqual(passing(name, "root"), []))

  test("what an application needs passes as it was, in order and in its case", () => {
    const raw = [
      "User-Agent",
      "curl",
      "X-Auth-Token",
      "t",
      "X-Authority",
      "y",
      "X-User-Agent",
      "z",
      "X-SSO-Token",
      "s",
      "Sm-Thing",
      "1",
      "X-Http-Version",
      "2",
      "Origin",
      "https://a",
    ]
    assert.deepEqual(passing(...raw), raw)
  })

  test("a name with an underscore is refused, because applications read it as a dash", () => {
    for (const name of ["X_Auth_User", "Content_Length", "x-forwarded_for"]) {
      assert.throws(() => passing(name, "1"), { code: "invalid", message: /underscore/ })
    }
  })

  test("what concerns the connection alone stays, with all that Connection lists", () => {
    const raw = ["Keep-Alive", "1", "Proxy-Authorization", "x", "TE", "gzip", "Trailer", "x", "Upgrade", "h2c", "HTTP2-Settings", "x"]
    assert.deepEqual(passing(...raw, "Connection", "close, X-Mine", "x-mine", "1", "X-Other", "2"), ["X-Other", "2"])
  })

  test("Connection cannot take away what frames or addresses the request", () => {
    for (const name of ["Host", "content-length", "Transfer-Encoding"]) {
      assert.throws(() => passing("Connection", `close, ${name}`), { code: "invalid" })
    }
  })

  test("a second Host, Authorization or token has two readings", () => {
    assert.throws(() => passing("host", "books.gateway"), { code: "invalid" })
    assert.throws(() => passing("Authorization", "Basic a", "authorization", "Basic b"), { code: "invalid" })
    assert.throws(() => passing("X-Sluice-Token", "a", "x-sluice-token", "b"), { code: "invalid" })
    assert.throws(() => readHeaders(["Accept", "*/*"]), { code: "invalid", message: /Host/ })
  })

  test("where a client is, is told as an address alone", () => {
    assert.equal(forwardedFor("203.0.113.7:52044"), "203.0.113.7")
    assert.equal(forwardedFor("[2001:db8::1]:52044"), "2001:db8::1")
  })

  test("more headers than the bound are refused, not cut", () => {
    const many = Array.from({ length: limits.http_headers_max }, (_, i) => [`X-${i}`, "1"]).flat()
    assert.throws(() => passing(...many), { code: "too_large" })
  })
})

suite("http: which of an application's headers pass", () => {
  test("all but what concerns its connection, and what only we say", () => {
    const raw = ["Set-Cookie", "a=1", "Set-Cookie", "b=2", "Content-Length", "3", "ETag", '"x"']
    const stays = [
      "Connection",
      "close, X-Hop",
      "X-Hop",
      "1",
      "Keep-Alive",
      "1",
      "Transfer-Encoding",
      "chunked",
      "Alt-Svc",
      "h3",
      "Trailer",
      "x",
    ]
    const ours = ["Sluice-Access-Ends", "never", "SLUICE-ERROR", "none"]
    assert.deepEqual(
      responseHeaders(
        [...raw, ...stays, ...ours].map((text) => Buffer.from(text)),
        here,
      ),
      raw,
    )
  })

  test("a redirect to the target's own address stays behind the gateway", () => {
    const location = (value: string, at = here): string | undefined => responseHeaders(["Location", value], at)[1]
    assert.equal(location("http://10.0.0.7:3000/login?x=1"), "/login?x=1")
    assert.equal(location("http://10.0.0.7:3000"), "/")
    assert.equal(location("http://10.0.0.7:30001/login"), "http://10.0.0.7:30001/login")
    assert.equal(location("https://elsewhere.example/"), "https://elsewhere.example/")
    const below = { ...here, prefix: "/app" }
    assert.equal(location("http://10.0.0.7:3000/app/login", below), "/login")
    for (const [told, seen] of [
      ["/app", "/"],
      ["/app?x", "/?x"],
      ["/apps", "/apps"],
      ["//evil.example/app", "//evil.example/app"],
    ])
      assert.equal(location(told ?? "", below), seen)
    assert.equal(location("/app//evil.example", below), "/evil.example")
    assert.equal(location("http://10.0.0.7:3000//evil.example/x"), "/evil.example/x")
    assert.equal(location("http://10.0.0.7:3000/\\evil.example/x"), "/evil.example/x")
    assert.equal(location("http://10.0.0.7:3000?x"), "/?x")
    assert.deepEqual(responseHeaders(["Content-Location", "http://10.0.0.7:3000/app/a"], below), ["Content-Location", "/a"])
  })
})
