import assert from "node:assert/strict"
import { suite, test } from "node:test"
import { mayPass, recordable } from "../../../protocols/ssh/environment.ts"
import { routeOf } from "../../../protocols/ssh/route.ts"
import { usual_env } from "../../../src/core/target.ts"

suite("ssh: where a login name leads", () => {
  test("to the gateway without a sign", () => assert.deepEqual(routeOf("alice"), { to: "gateway" }))

  for (const sign of ["@", "%"]) {
    test(`to a target behind the last ${sign}`, () => {
      assert.deepEqual(routeOf(`root${sign}prod-host`), { to: "target", login: "root", target: "prod-host" })
      assert.deepEqual(routeOf(`ana@corp.example${sign}prod-host`), { to: "target", login: "ana@corp.example", target: "prod-host" })
      assert.deepEqual(routeOf(sign), { to: "target", login: "", target: "" })
    })
  }
})

suite("ssh: the environment", () => {
  for (const name of ["LANG", "LC_ALL", "LC_CTYPE", "TERM", "COLORTERM", "TZ"]) {
    test(`${name} reaches the target`, () => assert.equal(mayPass(name, "de_DE.UTF-8", usual_env), true))
  }
  for (const name of [
    "LD_PRELOAD",
    "LD_LIBRARY_PATH",
    "DYLD_INSERT_LIBRARIES",
    "GLIBC_TUNABLES",
    "PATH",
    "BASH_ENV",
    "lang",
    "LC_",
    "LANG\n",
    "",
  ]) {
    test(`${JSON.stringify(name)} does not`, () => assert.equal(mayPass(name, "x", usual_env), false))
  }
  test("a value with control characters in it, or a very long one, does not", () => {
    assert.equal(mayPass("LANG", "C\n() { :; }", usual_env), false)
    assert.equal(mayPass("LANG", "x".repeat(2000), usual_env), false)
  })
  test("a target may name others, or none; what loads code never passes", () => {
    const named = ["GIT_AUTHOR_NAME", "APP_*", "LD_*", "GLIBC_TUNABLES", "D*"]
    assert.deepEqual(
      ["GIT_AUTHOR_NAME", "APP_MODE", "APP_", "GIT_AUTHOR", "LANG", "LD_PRELOAD", "GLIBC_TUNABLES", "DYLD_LIBRARY_PATH", "DEBUG"].filter(
        (name) => mayPass(name, "x", named),
      ),
      ["GIT_AUTHOR_NAME", "APP_MODE", "DEBUG"],
    )
    assert.equal(mayPass("LANG", "C", []), false)
  })
  test("a refused name is recorded without what it might forge", () => {
    assert.equal(recordable("A\u001B[2J\u202EB"), "A??2J?B")
    assert.equal(recordable("x".repeat(1000)).length, 64)
  })
})
