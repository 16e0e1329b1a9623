import assert from "node:assert/strict"
import { test } from "node:test"
import { type Binding, ScramClient } from "../../../protocols/postgres/scram.ts"
import { GatewayError, type ErrorCode } from "../../../src/core/errors.ts"
import { Secret } from "../../../src/core/secret.ts"

// RFC 7677, section 3.
const nonce = "rOprNGfwEbeRWgbNEkqO"
const serverFirst = "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096"
const password = new Secret("pencil")
const refused = (code: ErrorCode) => (failure: unknown) => failure instanceof GatewayError && failure.code === code

test("scram: the conversation of RFC 7677", async () => {
  const scram = new ScramClient({ user: "user", nonce })
  assert.equal(scram.first().toString(), "n,,n=user,r=rOprNGfwEbeRWgbNEkqO")
  assert.equal(
    (await scram.final(serverFirst, password)).toString(),
    "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=",
  )
  scram.verify("v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=")
})

test("scram: a channel binding is said first and proven last; a server that did not offer one is told that we would have", async () => {
  const bound = async (binding: Binding) => {
    const scram = new ScramClient({ nonce, binding })
    const [, said] = /^c=([^,]+)/.exec((await scram.final(serverFirst, password)).toString()) ?? []
    return [scram.first().toString().split(",n=")[0], Buffer.from(said!, "base64").toString()]
  }
  const data = Buffer.from("digest of the certificate")
  const first = "p=tls-server-end-point,"
  assert.deepEqual(await bound({ flag: "p=tls-server-end-point", data }), [first, `${first},digest of the certificate`])
  assert.deepEqual(await bound({ flag: "y" }), ["y,", "y,,"])
})

test("scram: a server that does not know the password is not trusted", async () => {
  const scram = new ScramClient({ user: "user", nonce })
  assert.throws(() => scram.verify("v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4="), refused("target_untrusted"))
  await scram.final(serverFirst, password)
  for (const lie of ["v=", "v=AAAA", "e=other-error", "", `v=${"A".repeat(43)}=`]) {
    assert.throws(() => scram.verify(lie), refused("target_untrusted"), lie)
  }
})

test("scram: a nonce that is not ours or not longer, and any bound overstepped, end the login", async () => {
  const lies = [
    serverFirst.replace("rOpr", "xOpr"),
    `r=${nonce},s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096`,
    serverFirst.replace("4096", "4095"),
    serverFirst.replace("4096", "9999999999"),
    serverFirst.replace("4096", "-1"),
    `r=${nonce}${"x".repeat(2_000)},s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096`,
    `r=${nonce}x,s=${"A".repeat(2_000)},i=4096`,
    `m=ext,${serverFirst}`,
    "e=unknown-user",
    "",
  ]
  for (const lie of lies) await assert.rejects(new ScramClient({ nonce }).final(lie, password), refused("target_login_failed"), lie)
})

test("scram: keys that were made for one salt or count serve no other, and another password has its own", async () => {
  const said = async (secret: Secret, first: string) => (await new ScramClient({ nonce }).final(first, secret)).toString()
  const others = [serverFirst.replace("W22Z", "X22Z"), serverFirst.replace("4096", "5000")]
  for (const first of [serverFirst, ...others, serverFirst]) {
    const fresh = await said(new Secret("pencil"), first) // nothing is known of it yet
    assert.equal(await said(password, first), fresh)
    assert.equal(await said(password, first), fresh)
    assert.notEqual(await said(new Secret("pencils"), first), fresh)
  }
  const atOnce = await Promise.all([said(password, others[0]!), said(password, serverFirst), said(password, others[0]!)])
  assert.deepEqual([atOnce[0] === atOnce[2], atOnce[0] === atOnce[1]], [true, false])
})

test("scram: each login has a nonce of its own", () => {
  assert.notDeepEqual(new ScramClient().first(), new ScramClient().first())
})
