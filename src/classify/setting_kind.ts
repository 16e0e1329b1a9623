// What SET and RESET are: mostly harmless, but some settings change who acts, what a text means, or what the server checks.
import type { StatementKind } from "../core/statement.ts"
import type { Fields } from "./statement_tree.ts"

/** Another value than these changes how text is read, or what is checked while it runs. */
const safe_values: Readonly<Record<string, RegExp>> = {
  standard_conforming_strings: /^(on|true|1|yes)$/i,
  backslash_quote: /^(safe_encoding|off|false|0|no)$/i,
  client_encoding: /^(utf-?8|unicode|sql_ascii)$/i,
  names: /^(utf-?8|unicode|sql_ascii)$/i,
  transform_null_equals: /^(off|false|0|no)$/i,
  session_replication_role: /^origin$/i,
  check_function_bodies: /^(on|off|true|false)$/i,
}
const code_loading = /(^|_)(preload_libraries|library_path)$/

export function settingKind({ kind, name, args }: Fields): { readonly kind: StatementKind; readonly note?: string } {
  const setting = typeof name === "string" ? name.toLowerCase() : ""
  const values = valuesIn(args)
  const sets = kind === "VAR_SET_VALUE"
  if (setting === "role" || setting === "session_authorization") return { kind: "grant", note: "it changes which role acts" }
  if (code_loading.test(setting)) return { kind: "unknown", note: "it makes the server load code" }
  if (setting === "search_path") {
    // The server's own functions come first unless the path says where they come.
    const shadows = sets && (values === undefined || values.some((value) => /pg_catalog/i.test(value)))
    return { kind: shadows ? "unknown" : "utility", note: "it changes what names without a schema mean" }
  }
  const safe = safe_values[setting]
  if (safe && sets && !(values?.length === 1 && safe.test(values[0] ?? "")))
    return { kind: "unknown", note: `it sets ${setting}, which changes what later statements mean or what is checked` }
  return { kind: "utility" }
}

/** Undefined: something else than constants. */
function valuesIn(args: unknown): string[] | undefined {
  if (!Array.isArray(args)) return []
  const values = args.map((one: { A_Const?: { sval?: { sval?: string }; ival?: { ival?: number }; boolval?: { boolval?: boolean } } }) => {
    const constant = one.A_Const
    if (!constant) return undefined
    if (constant.sval) return constant.sval.sval ?? ""
    if (constant.ival) return String(constant.ival.ival ?? 0)
    return constant.boolval ? String(constant.boolval.boolval ?? false) : undefined
  })
  return values.includes(undefined) ? undefined : (values as string[])
}
