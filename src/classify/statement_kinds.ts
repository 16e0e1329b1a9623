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

/** `runs`: expressions in it are evaluated, now or for each row there is. */
export function kindOfStatement(type: string, fields: Fields): { readonly kind: StatementKind; readonly runs: boolean } {
  const runs = !keeping.has(type)
  if (type === "DropStmt" && fields["removeType"] === "OBJECT_POLICY") return { kind: "grant", runs }
  if (type === "AlterTableStmt" && changesWhoMay(fields["cmds"])) return { kind: "grant", runs }
  const kind = named[type] ?? (/^(?:Create|Alter|Drop)/.test(type) ? "ddl" : "unknown")
  return { kind, runs }
}

function changesWhoMay(commands: unknown): boolean {
  if (!Array.isArray(commands)) return false
  return commands.some(({ AlterTableCmd }: { AlterTableCmd?: Fields }) =>
    /^AT_(ChangeOwner|(Enable|Disable|Force|NoForce)RowSecurity)$/.test(String(AlterTableCmd?.["subtype"])),
  )
}
