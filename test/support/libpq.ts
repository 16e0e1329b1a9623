// libpq 18, which comes with the PostgreSQL 18 of the npm package: Debian's is older, and knows neither protocol 3.2 nor OAuth. A
// program that is linked to some libpq (psql, psycopg) uses this one when it runs with the environment that is answered here.
import { symlinkSync } from "node:fs"
import { join } from "node:path"
import { nativeFolder } from "./postgres_cluster.ts"
import { scratch } from "./scratch.ts"

let folder: string | undefined

/** The folder with libpq.so.5 and what it needs, and nothing else that could take the place of the machine's own libraries. */
export function libpqFolder(): string {
  if (folder === undefined) {
    folder = scratch("libpq")
    for (const name of ["libpq.so.5", "libssl.so.1.1", "libcrypto.so.1.1"])
      symlinkSync(join(nativeFolder(), "lib", name), join(folder, name))
  }
  return folder
}

export const withLibpq18 = (): Readonly<Record<string, string>> => ({ LD_LIBRARY_PATH: libpqFolder() })
