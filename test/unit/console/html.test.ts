// The template escapes whatever is put into it, and nothing can be said to be HTML already.
import assert from "node:assert/strict"
import test from "node:test"
import { type Content, html, styleElement } from "../../../src/console/html.ts"
import { code, said } from "../../../src/console/words.ts"

const written = (content: Content): string => html`${content}`.toString()

test("html: text is escaped, in elements and in attributes", () => {
  const hostile = `<script>alert("1")</script> & 'x' \`y\``
  assert.equal(
    html`<p title="${hostile}">${hostile}</p>`.toString(),
    `<p title="&lt;script&gt;alert(&quot;1&quot;)&lt;/script&gt; &amp; &#39;x&#39; &#96;y&#96;">&lt;script&gt;alert(&quot;1&quot;)&lt;/script&gt; &amp; &#39;x&#39; &#96;y&#96;</p>`,
  )
})

test("html: what the template made stays as it is; lists are written one after the other; nothing is nothing", () => {
  assert.equal(written(["<a>", "b"].map((item) => html`<i>${item}</i>`)), "<i>&lt;a&gt;</i><i>b</i>")
  assert.equal(written([undefined, null, false, "", 0, ["x", [html`<b>y</b>`]]]), "0x<b>y</b>")
})

test("html: an object that only looks like HTML is not taken as such", () => {
  const forged = { toString: () => "<b>forged</b>", text: "<b>forged</b>" }
  assert.throws(() => written(forged as never))
  assert.equal(written(JSON.parse('"<b>forged</b>"') as string), "&lt;b&gt;forged&lt;/b&gt;")
})

test("html: a value without quotes in an attribute is our mistake, and is not written", () => {
  assert.throws(() => html`<p title=${"x onclick=alert(1)"}></p>`, /between quotes/)
  assert.throws(() => html`<p class="a" title=${"x"}></p>`, /between quotes/)
  assert.equal(html`<a href="/x?y=${"1&2"}">a = ${"b"}</a>`.toString(), '<a href="/x?y=1&amp;2">a = b</a>')
})

test("html: a style sheet cannot end itself", () => {
  assert.throws(() => styleElement("p {} </style><script>"))
})

test("html: what people wrote cannot reorder, hide or move what stands around it", () => {
  assert.equal(said("pay\u202egnitset \u0000\u200b\n").toString(), "<bdi>pay\\u{202e}gnitset \\x00\\u{200b}\\n</bdi>")
  assert.equal(code("a\nb\\n").toString(), "<code><bdi>a\\n\nb\\\\n</bdi></code>")
})
