// A PostgreSQL target as it is written: its databases, its roles, and how the gateway logs in as each.
import { z } from "zod"
import { limits } from "../core/limits.ts"
import { postgres_logins, postgres_poolers } from "../core/target.ts"

const text = z.string().min(1)
const reference = text.describe("env:NAME, file:path or exec:command; a secret cannot be written here itself")
const address = text.describe("host:port")

const postgresLogin = {
  password: reference.optional(),
  login: z
    .enum(postgres_logins)
    .default("scram-sha-256")
    .describe("The weakest way by which the server may ask for the password; md5 and password hand it to whoever answers"),
  cert: text.optional().describe("PEM of a client certificate, the chain with it: file:role.crt"),
  key: reference.optional(),
}
const postgresRole = z.strictObject({
  ...postgresLogin,
  member_of: z
    .array(text)
    .default([])
    .describe("Instead of a login: each session gets a role of its own, a member of these, which is dropped when it ends"),
})

const patterns = z
  .array(text)
  .max(limits.redact_patterns_max)
  .default([])
  .describe("RE2 patterns; what they find in a statement or a bound value is not recorded")

const redact = z
  .union([
    patterns,
    z.strictObject({
      patterns,
      columns: z
        .array(text)
        .max(limits.redact_columns_max)
        .default([])
        .describe("Columns (ssn, users.ssn, public.users.ssn) whose values are not recorded: put into them, or compared with them"),
      unsure: z
        .enum(["hide", "keep"])
        .default("hide")
        .describe("What becomes of all values of a statement that may hold such a column's, when it cannot be told which they are"),
    }),
  ])
  .default([])
  .describe("What is not recorded of statements and their values. Passwords that a statement sets never are")

export const postgresTarget = z.strictObject({
  address,
  database: text.describe("The database that a client gets which names the target alone"),
  databases: z.array(text).default([]).describe("Others of the same server that a grant covers, reached as dbname=<target>/<database>"),
  pooler: z
    .enum(postgres_poolers)
    .optional()
    .describe(
      "What listens there: the server (none), or a pooler in this pool mode (transaction for statement too); found out unless told",
    ),
  tls: z.enum(["disable", "require", "verify-full"]).default("verify-full").describe("As libpq's sslmode"),
  ca: text.optional().describe("PEM of the CA for verify-full; the system's unless told"),
  roles: z.record(z.string(), postgresRole).describe("The roles that may be asked for, and how the gateway logs in as each"),
  creator: z
    .strictObject({ user: text.describe("Its name on the server"), ...postgresLogin })
    .optional()
    .describe("The role that makes and drops the roles of sessions: CREATEROLE, and ADMIN on those they are members of"),
  redact,
  startup: z
    .array(z.enum(["options", "replication"]))
    .default([])
    .describe(
      "Startup parameters that clients may send: options sets any setting of the session, replication speaks the replication protocol",
    ),
})
