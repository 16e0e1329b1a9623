// `npm run regress`: PostgreSQL's own regression suite, straight to a server and through the gateway, each on a fresh cluster. What
// fails through the gateway and not directly is Sluice's fault; the exit status says whether there was such a test.
//
// And what the suite said is a measure of the reader that rules for actions use: each statement that it calls a read is run again in a
// transaction that may only read. One that the server refuses there is a write that was called a read.
//
// The suite is in Debian's source package of the server that Debian installs; it is fetched with apt-get, by its very version, and
// kept in a folder of its own. Needed besides: postgresql, postgresql-server-dev-<version>, gcc, make. As root: the server runs as nobody.
import { chmodSync, cpSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { Client, DatabaseError } from "pg"
import { StatementReader } from "../../src/classify/statement_reader.ts"
import { people } from "../support/people.ts"
import { superuser } from "../support/postgres_cluster.ts"
import { type Postgres, startPostgres } from "../support/postgres.ts"
import { must, run } from "../support/run.ts"
import { scratch } from "../support/scratch.ts"
import { type Sluice, spawnSluice } from "../support/sluice.ts"
import { gatewayName } from "../support/sluice_config.ts"
import { eventually } from "../support/wait.ts"

const database = "regression"
const limit_ms = 20 * 60_000

interface Suite {
  readonly version: string
  /** The server's programs, and pg_regress. */
  readonly bin: string
  readonly program: string
  /** sql, expected, data, schedules. */
  readonly input: string
  /** Functions in C that some of the tests call. */
  readonly library: string
}

async function suite(): Promise<Suite> {
  const [major] = readdirSync("/usr/lib/postgresql").toSorted((a, b) => Number(b) - Number(a))
  if (!major) throw new Error("no PostgreSQL server of Debian's is installed (Debian package: postgresql)")
  const base = join("/usr/lib/postgresql", major)
  const version = (await must("dpkg-query", ["-W", "-f=${Version}", `postgresql-${major}`])).trim()
  const kept = join(tmpdir(), `sluice-postgres-source-${version.replaceAll(/[^\w.]/g, "_")}`)
  const source = existsSync(join(kept, "done")) ? kept : await fetchSource(kept, `postgresql-${major}=${version}`)
  const [name] = readdirSync(source).filter((file) => /^postgresql-[\d.]+$/.test(file))
  const input = join(source, name ?? "", "src/test/regress")
  const library = join(source, "library")
  if (!existsSync(join(library, "regress.so"))) await buildLibrary(input, library, base)
  return { version, bin: join(base, "bin"), program: join(base, "lib/pgxs/src/test/regress/pg_regress"), input, library }
}

/** With source lists of its own, so that nothing on the machine is changed. */
async function fetchSource(folder: string, wanted: string): Promise<string> {
  console.log(`fetching the source of ${wanted}`)
  rmSync(folder, { recursive: true, force: true })
  mkdirSync(join(folder, "lists/partial"), { recursive: true, mode: 0o755 })
  const lists = readdirSync("/etc/apt/sources.list.d").filter((file) => file.endsWith(".sources"))
  const sources = lists.map((file) =>
    readFileSync(join("/etc/apt/sources.list.d", file), "utf8").replaceAll(/^Types:.*$/gm, "Types: deb-src"),
  )
  const classic = existsSync("/etc/apt/sources.list") ? readFileSync("/etc/apt/sources.list", "utf8").replaceAll(/^deb /gm, "deb-src ") : ""
  const parts = join(folder, "parts")
  mkdirSync(parts)
  if (sources.length > 0) writeFileSync(join(parts, "source.sources"), sources.join("\n\n"))
  if (classic !== "") writeFileSync(join(parts, "source.list"), classic)
  const settings = [`Dir::Etc::sourcelist=/dev/null`, `Dir::Etc::sourceparts=${parts}`, `Dir::State::lists=${join(folder, "lists")}`]
  const apt = [...settings, "APT::Sandbox::User=root"].flatMap((setting) => ["-o", setting])
  await must("apt-get", [...apt, "-qq", "update"])
  await must("apt-get", [...apt, "-qq", "source", "--download-only", wanted], { cwd: folder })
  const [archive] = readdirSync(folder).filter((file) => /\.orig\.tar\.\w+$/.test(file))
  if (!archive) throw new Error(`no source in ${folder}`)
  await must("tar", ["xf", archive], { cwd: folder })
  rmSync(join(folder, "lists"), { recursive: true })
  writeFileSync(join(folder, "done"), "")
  return folder
}

async function buildLibrary(input: string, library: string, base: string): Promise<void> {
  const config = async (what: string) => (await must(join(base, "bin/pg_config"), [what])).trim()
  const [headers, include, spi] = [await config("--includedir-server"), await config("--includedir"), join(input, "../../../contrib/spi")]
  mkdirSync(library, { recursive: true, mode: 0o755 })
  const shared = ["-shared", "-fPIC", "-O1", "-w", `-I${headers}`, `-I${include}`]
  await must("gcc", [...shared, '-DDLSUFFIX=".so"', "-o", join(library, "regress.so"), join(input, "regress.c")])
  for (const name of ["autoinc", "refint"]) await must("gcc", [...shared, "-o", join(library, `${name}.so`), join(spi, `${name}.c`)])
}

/** A place that the server, which is somebody else, can read and write too. */
function workPlace({ input, library }: Suite): { readonly input: string; readonly output: string; readonly library: string } {
  const folder = scratch("regress")
  const copy = join(folder, "input")
  const output = join(folder, "output")
  for (const part of ["sql", "expected", "data", "parallel_schedule", "resultmap"])
    cpSync(join(input, part), join(copy, part), { recursive: true })
  cpSync(library, join(folder, "library"), { recursive: true })
  for (const part of ["", "results", "testtablespace", "sql", "expected"]) mkdirSync(join(output, part), { recursive: true })
  for (const part of [folder, copy, output, join(output, "results"), join(output, "testtablespace")]) chmodSync(part, 0o777)
  return { input: copy, output, library: join(folder, "library") }
}

/** Roles that tests log in as. */
function rolesIn(input: string): string[] {
  const found = readdirSync(join(input, "sql")).flatMap((file) =>
    [...readFileSync(join(input, "sql", file), "latin1").matchAll(/^\\c(?:onnect)?\s+\S+\s+(\w+)/gm)].map(([, role]) => role as string),
  )
  return [...new Set(found)].filter((role) => role !== superuser.name)
}

interface Where {
  readonly host: string
  readonly port: number
  readonly password: string
}

/** The tests that failed. */
async function runSuite(found: Suite, where: Where): Promise<{ ran: number; failed: Set<string>; diffs: string }> {
  const { input, output, library } = workPlace(found)
  const place = [`--inputdir=${input}`, `--outputdir=${output}`, `--dlpath=${library}`, `--bindir=${found.bin}`]
  const server = [`--host=${where.host}`, `--port=${where.port}`, `--user=${superuser.name}`, `--dbname=${database}`, "--use-existing"]
  const options = { env: { PGPASSWORD: where.password }, limit_ms }
  const said = await run(
    found.program,
    [...place, ...server, `--schedule=${join(input, "parallel_schedule")}`, "--max-connections=8"],
    options,
  )
  const lines = said.stdout.split("\n")
  const results = lines.flatMap((line) => [...line.matchAll(/^(?:test)?\s+(\w+)\s+\.\.\. (ok|FAILED|failed \(ignored\))/g)])
  const failed = new Set(results.filter(([, , verdict]) => verdict !== "ok").map(([, name]) => name as string))
  if (results.length < 100) throw new Error(`pg_regress said:\n${said.stdout}${said.stderr}`)
  const diffs = join(output, "regression.diffs")
  return { ran: results.length, failed, diffs: existsSync(diffs) ? diffs : "none" }
}

async function withServer<T>(use: (postgres: Postgres) => Promise<T>): Promise<T> {
  const postgres = await startPostgres({
    server: "debian",
    access: [`host ${database} all 127.0.0.1/32 trust`],
    settings: { max_prepared_transactions: "2", log_min_messages: "fatal" },
  })
  try {
    await postgres.admin(`CREATE DATABASE ${database} TEMPLATE template0 ENCODING 'SQL_ASCII' LC_COLLATE 'C' LC_CTYPE 'C'`)
    for (const setting of ["lc_messages", "lc_monetary", "lc_numeric", "lc_time"])
      await postgres.admin(`ALTER DATABASE ${database} SET ${setting} TO 'C'`)
    await postgres.admin(`ALTER DATABASE ${database} SET bytea_output TO 'hex'`)
    await postgres.admin(`ALTER DATABASE ${database} SET timezone_abbreviations TO 'Default'`)
    return await use(postgres)
  } finally {
    await postgres.stop()
  }
}

async function throughGateway(found: Suite, postgres: Postgres): Promise<Awaited<ReturnType<typeof runSuite>> & { miscalled: string[] }> {
  const { alice, bob } = people()
  const roles = Object.fromEntries([superuser.name, ...rolesIn(found.input)].map((role) => [role, {}]))
  const target = { address: postgres.at, database, tls: "disable", roles, startup: ["options"] }
  const sluice = await spawnSluice({ users: [alice, bob], targets: [{ name: database, postgres: target }] })
  try {
    await sluice.grant(alice, database, { by: bob, for: "2h" })
    const where = { host: "127.0.0.1", port: sluice.port("postgres"), password: await sluice.token(alice, database) }
    const ran = await runSuite(found, where)
    const count = await eventually("the recordings to be over", () => {
      const all = sluice.recorded().map((id) => sluice.recording(id))
      return all.every((lines) => lines.at(-1)?.kind === "end") && all.flat().filter(({ kind }) => kind === "action").length
    })
    console.log(`on record at ${gatewayName}: ${count} statements in ${sluice.recorded().length} sessions`)
    return { ...ran, miscalled: await readsThatWrite(postgres, statementsIn(sluice)) }
  } finally {
    await sluice.stop()
  }
}

/** Each text once. */
function statementsIn(sluice: Sluice): Set<string> {
  const texts = new Set<string>()
  for (const line of sluice.recorded().flatMap((id) => sluice.recording(id)))
    if (line.kind === "action" && line.action.kind === "postgres.statement") texts.add(line.action.sql)
  return texts
}

/** Those that are called a read, and which the server would not run where nothing may be written. */
async function readsThatWrite(postgres: Postgres, statements: ReadonlySet<string>): Promise<string[]> {
  const reader = new StatementReader()
  const kinds = new Map<string, number>()
  const wrong: string[] = []
  let reads = 0
  const server = { ...postgres.address, user: superuser.name, database, statement_timeout: 2_000 }
  let client: Client | undefined
  for (const sql of statements) {
    const { parts } = await reader.read(sql)
    for (const kind of new Set(parts.map((part) => part.kind))) kinds.set(kind, (kinds.get(kind) ?? 0) + 1)
    if (parts.length === 0 || parts.some(({ kind }) => kind !== "read")) continue
    reads++
    if (!client) {
      client = new Client(server)
      client.on("error", () => (client = undefined))
      await client.connect()
    }
    try {
      await client.query("BEGIN READ ONLY")
      await client.query(sql)
    } catch (failure) {
      if (failure instanceof DatabaseError && failure.code === "25006") wrong.push(sql)
    }
    await client?.query("ROLLBACK").catch(() => {})
  }
  await client?.end()
  await reader.close()
  const counted = [...kinds].toSorted(([, left], [, right]) => right - left).map(([kind, count]) => `${kind} ${count}`)
  console.log(
    `of ${statements.size} texts: ${counted.join(", ")}; ${reads} are called a read and nothing else, ${wrong.length} of them write`,
  )
  return wrong
}

const found = await suite()
console.log(`PostgreSQL ${found.version}`)
const direct = await withServer((postgres) =>
  runSuite(found, { host: "127.0.0.1", port: postgres.address.port, password: superuser.password }),
)
console.log(`directly: ${direct.ran} tests, ${direct.failed.size} failed: ${[...direct.failed].join(" ")}`)
const through = await withServer((postgres) => throughGateway(found, postgres))
const ours = [...through.failed].filter((name) => !direct.failed.has(name))
console.log(`through the gateway: ${through.ran} tests, ${through.failed.size} failed; not so directly: ${ours.join(" ") || "none"}`)
if (ours.length > 0) console.log(`see ${through.diffs}`)
for (const sql of through.miscalled) console.log(`called a read, and writes: ${sql}`)
process.exitCode = ours.length > 0 || through.miscalled.length > 0 || through.ran < direct.ran ? 1 : 0
