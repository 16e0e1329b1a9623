import assert from "node:assert/strict"
import type { IncomingMessage } from "node:http"
import { suite, test } from "node:test"
import { readFraming, readRequestLine } from "../../../protocols/http/codec.ts"
import { readHeaders } from "../../../protocols/http/headers.ts"
import { limits } from "../../../src/core/limits.ts"

const host = "shop.gateway:8443"
const line = (url: string, method = "GET", httpVersion = "1.1") => readRequestLine({ method, url, httpVersion } as IncomingMessage, host)
const framing = (raw: readonly string[], httpVersion = "1.1") =>
  readFraming({ httpVersion } as IncomingMessage, readHeaders(["Host", host, ...raw]))

suite("http: the request line", () => {
  test("a path and a query pass as they are, and the query's names are known, never its values", () => {
    assert.deepEqual(line("/a/b%20c;v=1?user=alice&token=hunter2&flag&=x"), {
      method: "GET",
      url: "/a/b%20c;v=1?user=alice&token=hunter2&flag&=x",
      path: "/a/b%20c;v=1",
      escaped_slash: false,
      query: ["user", "token", "…"],
    })
  })

  test("a bare query may be a secret itself, so it is not kept, and neither are long names or more of them than the bound", () => {
    assert.deepEqual(line("/?s3cret").query, ["…"])
    assert.deepEqual(line(`/?${"s".repeat(limits.http_query_name_chars_max + 1)}=1`).query, ["…"])
    assert.equal(line(`/?${"a=1&".repeat(limits.http_query_names_max + 9)}`).query.length, limits.http_query_names_max)
  })

  test("an absolute target becomes a path when its host is Host's, and is refused when it is not", () => {
    assert.equal(line(`http://${host}/a?b`).url, "/a?b")
    assert.equal(line(`HTTPS://Shop.Gateway:8443`).url, "/")
    assert.equal(line(`https://${host}?b`).url, "/?b")
    assert.throws(() => line("http://books.gateway/a"), { code: "invalid", message: /differ/ })
    assert.throws(() => line(`http://${host}@books.gateway/`), { code: "invalid" })
  })

  for (const url of [
    "/a#b",
    "/a\\b",
    "/%2e%2e/b",
    "/a%2f..%2Fb",
    "/a/.%2fb",
    "/%2f..",
    "/a%5cb",
    "/a%00",
    "/a%0d",
    "/../b",
    "/a/./b",
    "/a/..",
    "/a/..;/b",
    "/a%252e%252e/b",
    "/a%25252fb",
    "/a%c0%ae%c0%ae/b",
    "/a/%E0%80%AE/b",
    "/%u002e%u002e/b",
    "/100%",
    "/a%2",
    "/a%zz",
    "/?a#b",
  ]) {
    test(`${url} has two readings and is refused`, () => assert.throws(() => line(url), { code: "invalid" }))
  }

  test("dots that are no segment, and escapes that are no syntax, pass", () => {
    for (const url of ["/.well-known/x", "/a..b", "/...", "/a%20%c3%a9", "/100%2525/a", "/100%25", "/%c3%80%e0%a4%95", "/?path=../x&y=%2f"])
      assert.equal(line(url).url, url)
  })

  test("an escaped slash is told of, and stays as it is", () => {
    for (const url of ["/a%2Fb", "/api/queues/%2f/name?q=%2f"]) {
      const read = line(url)
      assert.deepEqual([read.url, read.escaped_slash], [url, true])
    }
    assert.equal(line("/a?b=%2f").escaped_slash, false)
  })

  test("an escape of a character that needs none is that character, for rules and for the target alike", () => {
    const { url, path } = line("/%61pi/%7Ealice/a%20b%2d?q=%61")
    assert.deepEqual([url, path], ["/api/~alice/a%20b-?q=%61", "/api/~alice/a%20b-"])
    assert.throws(() => line("/a/.%2e/b"), { code: "invalid" })
  })

  test("the asterisk form, TRACE, CONNECT and other versions are refused", () => {
    assert.throws(() => line("*", "OPTIONS"), { code: "invalid" })
    assert.throws(() => line("/", "TRACE"), { code: "unsupported" })
    assert.throws(() => line("shop:80", "CONNECT"), { code: "unsupported" })
    for (const version of ["0.9", "2.0"]) assert.throws(() => line("/", "GET", version), { code: "unsupported" })
  })
})

suite("http: the body's length", () => {
  test("is told once or not at all", () => {
    assert.equal(framing([]), 0)
    assert.equal(framing(["Content-Length", "12"]), 12)
    assert.equal(framing(["Transfer-Encoding", "Chunked"]), "chunked")
    assert.throws(() => framing(["Content-Length", "1", "Content-Length", "1"]), { code: "invalid" })
    assert.throws(() => framing(["Content-Length", "1", "Transfer-Encoding", "chunked"]), { code: "invalid" })
    for (const size of ["+1", "0x1", "1 ", "-1", "1,1", ""]) assert.throws(() => framing(["Content-Length", size]), { code: "invalid" })
  })

  test("by a coding only when it is chunked alone, and only in HTTP/1.1", () => {
    for (const coding of ["gzip, chunked", "chunked, chunked", "identity", "chunked;q=1", "xchunked"]) {
      assert.throws(() => framing(["Transfer-Encoding", coding]), { code: "unsupported" })
    }
    assert.throws(() => framing(["Transfer-Encoding", "chunked"], "1.0"), { code: "invalid" })
  })
})
