// The kind of a statement that its name alone tells: everything but reading and changing rows.
import type { StatementKind } from "../core/statement.ts"
import type { Fields } from "./statement_tree.ts"

const named: Readonly<Record<string, StatementKind>> = {
  TransactionStmt: "transaction",
  DoStmt: "do",
  FetchStmt: "read",
  VariableShowStmt: "read",
  // Who may do what.
  GrantStmt: "grant",
  GrantRoleStmt: "grant",
  AlterDefaultPrivilegesStmt: "grant",
  CreateRoleStmt: "grant",
  AlterRoleStmt: "grant",
  AlterRoleSetStmt: "grant",
  DropRoleStmt: "grant",
  ReassignOwnedStmt: "grant",
  DropOwnedStmt: "grant",
  AlterOwnerStmt: "grant",
  CreatePolicyStmt: "grant",
  AlterPolicyStmt: "grant",
  SecLabelStmt: "grant",
  CreateUserMappingStmt: "grant",
  AlterUserMappingStmt: "grant",
  DropUserMappingStmt: "grant",
  // What leaves rows and tables as they are.
  VacuumStmt: "utility",
  LockStmt: "utility",
  NotifyStmt: "utility",
  ListenStmt: "utility",
  UnlistenStmt: "utility",
  CheckPointStmt: "utility",
  DiscardStmt: "utility",
  DeallocateStmt: "utility",
  ClusterStmt: "utility",
  ReindexStmt: "utility",
  ConstraintsSetStmt: "utility",
  ClosePortalStmt: "utility",
  // Whose names do not begin with what they do.
  IndexStmt: "ddl",
  DefineStmt: "ddl",
  CompositeTypeStmt: "ddl",
  RuleStmt: "ddl",
  ViewStmt: "ddl",
  RenameStmt: "ddl",
  CommentStmt: "ddl",
  ImportForeignSchemaStmt: "ddl",
  RefreshMatViewStmt: "ddl",
}

/** They only keep what would run later. */
const keeping: ReadonlySet<string> = new Set([
  "ViewStmt",
  "RuleStmt",
  "CreateFunctionStmt",
  "CreateTrigStmt",
  "CreatePolicyStmt",
  "AlterPolicyStmt",
])

/** `runs`: expressions in it are evaluated, now or for each row there is. `drops`: it takes away what was there. */
export function kindOfStatement(
  type: string,
  fields: Fields,
): { readonly kind: StatementKind; readonly runs: boolean; readonly drops: boolean } {
  const how = { runs: !keeping.has(type), drops: type.startsWith("Drop") || commandsAre(takingAway, fields["cmds"]) }
  if (type === "DropStmt" && fields["removeType"] === "OBJECT_POLICY") return { kind: "grant", ...how }
  if (type === "AlterTableStmt" && commandsAre(changingWhoMay, fields["cmds"])) return { kind: "grant", ...how }
  const kind = named[type] ?? (/^(?:Create|Alter|Drop)/.test(type) ? "ddl" : "unknown")
  return { kind, ...how }
}

const changingWhoMay = /^AT_(ChangeOwner|(Enable|Disable|Force|NoForce)RowSecurity)$/
const takingAway = /^AT_Drop(Column|Constraint)$/

/** Whether one of an ALTER TABLE's commands is. */
function commandsAre(subtype: RegExp, commands: unknown): boolean {
  if (!Array.isArray(commands)) return false
  return commands.some(({ AlterTableCmd }: { AlterTableCmd?: Fields }) => subtype.test(String(AlterTableCmd?.["subtype"])))
}
