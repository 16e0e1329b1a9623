import assert from "node:assert/strict"
import { suite, test } from "node:test"
import { BearerReader, readBearer } from "../../../protocols/http/bearer.ts"
import { createRouter } from "../../../protocols/http/routing.ts"

suite("http: whose request", () => {
  const route = createRouter({ name: "gw.example.com", domain: "Apps.example.com" })

  test("a label under the domain is a target, whatever its case, port or final dot", () => {
    for (const host of ["shop.apps.example.com", "SHOP.Apps.Example.com:8443", "shop.apps.example.com."]) {
      assert.deepEqual(route(host), { to: "target", target: "shop" })
    }
  })

  test("the gateway's name and the bare domain are the gateway itself", () => {
    for (const host of ["gw.example.com", "apps.example.com:443"]) assert.deepEqual(route(host), { to: "gateway" })
  })

  test("everything else is elsewhere", () => {
    const hosts = [
      "a.b.apps.example.com",
      ".apps.example.com",
      "shopapps.example.com",
      "127.0.0.1:8443",
      "[::1]",
      "",
      "shop.apps.example.com:x",
    ]
    for (const host of [...hosts, "shop.apps.example.com@evil", "shop .apps.example.com"])
      assert.deepEqual(route(host), { to: "elsewhere" }, host)
  })
})

suite("http: whose token", () => {
  const jwt = (header: object): string => `${Buffer.from(JSON.stringify(header)).toString("base64url")}.e30.c2ln`
  const ours = jwt({ alg: "ES256", typ: "sluice+jwt" })
  const theirs = jwt({ alg: "ES256", typ: "JWT" })
  const read = (authorization?: string, sluice_token?: string) => readBearer({ authorization, sluice_token })

  test("a bearer token of ours is taken and not passed on", () => {
    assert.deepEqual(read(`Bearer ${ours}`), { token: ours, authorization: undefined })
    assert.deepEqual(read(`bearer  ${ours} `), { token: ours, authorization: undefined })
  })

  test("an application's own Authorization is passed on and not taken", () => {
    for (const own of [`Bearer ${theirs}`, "Basic YTpi", "Bearer opaque", "Bearer a.b.c", `Digest ${ours}`]) {
      assert.deepEqual(read(own), { token: undefined, authorization: own })
      assert.deepEqual(read(own, ours), { token: ours, authorization: own })
    }
  })

  test("a token of ours is not passed on even when another one was used", () => {
    assert.deepEqual(read(`Bearer ${ours}`, "other"), { token: "other", authorization: undefined })
  })

  test("the reader of a connection sees that a request brings something else than the one before", () => {
    const reader = new BearerReader()
    assert.equal(reader.read({ authorization: `Bearer ${ours}`, sluice_token: undefined }).token, ours)
    assert.equal(reader.read({ authorization: `Bearer ${ours}`, sluice_token: undefined }).token, ours)
    assert.equal(reader.read({ authorization: undefined, sluice_token: undefined }).token, undefined)
    assert.equal(reader.read({ authorization: `Bearer ${ours}`, sluice_token: "second" }).token, "second")
  })
})
