// What a gateway knows about people and logins: asked once, followed by the feed, and never more than the service has said.
import assert from "node:assert/strict"
import test from "node:test"
import type { LoginStanding, PersonStanding } from "../../../src/api/schema.ts"
import { GatewayError } from "../../../src/core/errors.ts"
import type { LoginId } from "../../../src/core/ids.ts"
import { Directory } from "../../../src/gateway/control_plane/directory.ts"

const id = "l_0123456789abcdef" as LoginId
const alice = (change: Partial<PersonStanding> = {}): PersonStanding => ({
  subject: "alice",
  groups: ["engineers"],
  disabled: false,
  revision: 1,
  ...change,
})
const login = (change: Partial<LoginStanding> = {}): LoginStanding => ({
  id,
  subject: "alice",
  expires_at: 1_000,
  ended: false,
  revision: 1,
  ...change,
})

/** A directory whose service answers when the test says so. */
function asked() {
  const calls: string[] = []
  const person = Promise.withResolvers<PersonStanding>()
  const logins = Promise.withResolvers<LoginStanding>()
  const directory = new Directory({
    person: (subject) => {
      calls.push(subject)
      return person.promise
    },
    login: (which) => {
      calls.push(which)
      return logins.promise
    },
  })
  return { directory, calls, person, logins }
}

test("directory: nobody stands before the service has answered, and it is asked once", async () => {
  const { directory, calls, person } = asked()
  assert.equal(directory.stands({ subject: "alice" }, 0), false)
  const loading = Promise.all([directory.load({ subject: "alice" }), directory.load({ subject: "alice" })])
  person.resolve(alice())
  await loading
  await directory.load({ subject: "alice" })
  assert.equal(directory.stands({ subject: "alice" }, 0), true)
  assert.deepEqual(directory.groups("alice"), ["engineers"])
  assert.deepEqual(calls, ["alice"])
})

test("directory: a disabled person stands no more, at once, and again when enabled", async () => {
  const { directory, person } = asked()
  person.resolve(alice())
  await directory.load({ subject: "alice" })
  directory.apply({ kind: "person", sequence: 2, person: alice({ disabled: true, revision: 2 }) })
  assert.equal(directory.stands({ subject: "alice" }, 0), false)
  directory.apply({ kind: "person", sequence: 1, person: alice({ revision: 1 }) })
  assert.equal(directory.stands({ subject: "alice" }, 0), false, "an older word changes nothing")
  directory.apply({ kind: "person", sequence: 3, person: alice({ groups: ["oncall"], revision: 3 }) })
  assert.equal(directory.stands({ subject: "alice" }, 0), true)
  assert.deepEqual(directory.groups("alice"), ["oncall"])
})

test("directory: what the feed says while the service is asked wins over an older answer", async () => {
  const { directory, person, logins } = asked()
  const loading = directory.load({ subject: "alice", login: id })
  directory.apply({ kind: "person", sequence: 5, person: alice({ disabled: true, revision: 5 }) })
  directory.apply({ kind: "login", sequence: 6, login: login({ ended: true, revision: 6 }) })
  person.resolve(alice({ revision: 4 }))
  logins.resolve(login())
  await loading
  assert.equal(directory.stands({ subject: "alice" }, 0), false)
  directory.apply({ kind: "person", sequence: 7, person: alice({ revision: 7 }) })
  assert.equal(directory.stands({ subject: "alice" }, 0), true)
  assert.equal(directory.stands({ subject: "alice", login: id }, 0), false)
})

test("directory: a login stands until it ends, by the clock or by its person, and only for that person", async () => {
  const { directory, person, logins } = asked()
  person.resolve(alice())
  logins.resolve(login())
  await directory.load({ subject: "alice", login: id })
  assert.equal(directory.stands({ subject: "alice", login: id }, 999), true)
  assert.equal(directory.stands({ subject: "alice", login: id }, 1_000), false)
  directory.apply({ kind: "person", sequence: 2, person: alice({ subject: "bob" }) })
  await directory.load({ subject: "bob" }).catch(() => {})
  assert.equal(directory.stands({ subject: "bob", login: id }, 0), false)
  directory.apply({ kind: "login", sequence: 3, login: login({ ended: true, revision: 3 }) })
  assert.equal(directory.stands({ subject: "alice", login: id }, 0), false)
})

test("directory: somebody the service does not know has no login; a service that does not answer says nothing of anybody", async () => {
  const { directory, person } = asked()
  person.reject(new GatewayError("not_found"))
  await assert.rejects(directory.load({ subject: "mallory" }), { code: "login_over" })
  const away = new Directory({ person: () => Promise.reject(new GatewayError("stale")), login: () => Promise.reject(new Error("no")) })
  await assert.rejects(away.load({ subject: "alice" }), { code: "stale" })
  assert.equal(away.stands({ subject: "alice" }, 0), false)
})
