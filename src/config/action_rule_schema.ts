// The shape of a rule in `policy.actions` as it is written.
import { z } from "zod"
import { fileOperations } from "../core/file_match.ts"
import { statementKinds } from "../core/statement.ts"

const text = z.string().min(1)
const several = z.union([text, z.array(text).min(1)])

const sftp_match = z.strictObject({
  ops: z
    .union([z.enum(fileOperations), z.array(z.enum(fileOperations)).min(1)])
    .optional()
    .describe("Operations; all unless told"),
  path: several.optional().describe("Whole paths; a star at the end is the rest, elsewhere a part of one name"),
})
const kind = z.enum(statementKinds)

export const actionRule = z.strictObject({
  who: several.optional().describe("Groups or users; everybody unless told"),
  targets: z
    .union([text, z.array(text).min(1), z.record(z.string(), z.string())])
    .optional()
    .describe("As in an access rule; all unless told"),
  as: several.optional().describe("Logins or roles; all unless told"),
  postgres: z
    .strictObject({
      kinds: z
        .union([kind, z.array(kind).min(1)])
        .optional()
        .describe("What a statement does; anything unless told"),
      tables: several.optional().describe("orders, public.orders or audit.*; a name without a schema is in any"),
      drops: z.literal(true).optional().describe("Only what takes away what is there: DROP, TRUNCATE, ALTER TABLE ... DROP"),
      without: z.literal("where").optional().describe("Only an update or delete of every row"),
    })
    .optional()
    .describe("Statements; {}: every one"),
  ssh: z
    .strictObject({
      exec: z
        .union([z.literal(true), several])
        .optional()
        .describe("Commands, with stars as in `sluice request --action`; true: any"),
      argv: z.array(text).min(1).optional().describe("A program and its first words: [systemctl, restart]"),
      shell: z.literal(true).optional().describe("A shell at a terminal, when it begins"),
      sftp: z
        .union([z.literal(true), sftp_match])
        .optional()
        .describe("true: file transfer as such, when it begins"),
      forward: z
        .union([z.literal(true), several])
        .optional()
        .describe(
          "Where the target connects for the client (-L, -D, -W): 10.0.0.9:6379, *.internal:443, 10.0.0.0/8:*, a socket's path; true: anywhere",
        ),
      listen: z
        .union([z.literal(true), several])
        .optional()
        .describe("Where the target listens for the client (-R); true: anywhere"),
      agent: z.literal(true).optional().describe("Use of the client's SSH agent (-A)"),
    })
    .optional()
    .describe("Commands, shells, files and forwards"),
  http: z
    .strictObject({ methods: several.optional().describe("[DELETE, PUT]; WEBSOCKET"), path: several.optional().describe("/api/*") })
    .optional()
    .describe("Requests"),
  then: z
    .enum(["allow", "flag", "hold", "deny"])
    .describe("flag: allowed, and marked on record; hold: it waits until somebody approves it"),
  say: text.optional().describe("Words for the one who is refused"),
  approve: z
    .strictObject({ by: several.describe("Groups or users"), count: z.int().min(1).default(1).describe("How many different people") })
    .optional()
    .describe("Who approves what is held; those who approve access to the target unless told"),
  within: text.default("15m").describe("How long what is held waits"),
})

export type ActionRuleFile = z.output<typeof actionRule>
