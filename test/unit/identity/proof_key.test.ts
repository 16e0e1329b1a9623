// Which key stands behind a proof.
import assert from "node:assert/strict"
import test from "node:test"
import { keyBehind, viaKey } from "../../../src/identity/proof_key.ts"
import { fingerprint } from "../../../src/identity/ssh_fingerprint.ts"

const blob = Buffer.from("a key in wire form")

test("the key behind a proof is found in a login with it, and in a token that was fetched with it", () => {
  for (const via of [viaKey(blob), `token (${viaKey(blob)})`, `cookie (${viaKey(blob)})`]) assert.equal(keyBehind(via), fingerprint(blob))
})

test("what was proven by a certificate, a company login or a workload has no key behind it", () => {
  const print = fingerprint(blob)
  const others = [
    `ssh-certificate ${print}, serial 7, by ${print}`,
    `client certificate ${print}, serial 7`,
    "oidc https://login.example.com",
  ]
  // A workload's own `sub` is a stranger's text.
  for (const via of [...others, `workload ${viaKey(blob)} of https://ci.example.com`, "token (test)"])
    assert.equal(keyBehind(via), undefined)
})
