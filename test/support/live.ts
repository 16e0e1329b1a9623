// Sessions that are in the middle of something, by the programs that people use: an ssh command that sleeps, a psql in pg_sleep, a
// download that never ends and a WebSocket. Each can tell what its user read at the end, and whether its work still runs on the target.
import type { HttpApp } from "./http_app.ts"
import { type Login, curl, psql, webSocket } from "./clients.ts"
import type { Postgres } from "./postgres.ts"
import { type Program, launch, must } from "./run.ts"
import type { Sshd } from "./sshd.ts"
import { eventually } from "./wait.ts"

export interface Live {
  readonly name: string
  /** What the user read when it ended, exit status included for programs. */
  readonly ended: Promise<string>
  /** Whether it still goes on at the target. */
  runs(): Promise<boolean>
  stop(): Promise<void>
}

let count = 0
/** Different in every session, and a sleep that nobody waits for. */
const seconds = (): string => `6${process.pid}.${++count}`

const lastWords = async (program: Program): Promise<string> => {
  const { stderr, status } = await program.ended
  return `${stderr}\n[exit ${status}]`
}

/** `ssh -J gateway login@target`, with a terminal where the target ends a command only with its terminal. */
export async function liveSsh({ sluice, person, target }: Login, sshd: Sshd): Promise<Live> {
  const sleep = `sleep ${seconds()}`
  const terminal = sshd.signals ? [] : ["-tt"]
  const program = launch("ssh", [
    ...sluice.ssh(person),
    ...terminal,
    "-J",
    "gateway",
    `${sshd.login}@${target}`,
    `echo started; exec ${sleep}`,
  ])
  await program.says("started")
  return {
    name: "ssh",
    ended: lastWords(program),
    runs: async () => (await must("ps", ["-eo", "args"])).split("\n").includes(sleep),
    stop: async () => void (await program.stop()),
  }
}

export async function livePsql(login: Login, server: Postgres): Promise<Live> {
  const statement = `SELECT pg_sleep(${seconds()})`
  const program = launch(...(await psql(login, server.role, ["-c", statement])))
  const runs = async (): Promise<boolean> => (await server.active()).some(({ query }) => query.includes(statement))
  await eventually("psql to be in pg_sleep", async () => !program.running || (await runs()))
  if (!program.running) throw new Error(`psql did not get in: ${await lastWords(program)}`)
  return { name: "psql", ended: lastWords(program), runs, stop: async () => void (await program.stop()) }
}

export async function liveDownload(login: Login, app: HttpApp): Promise<Live> {
  const path = `/drip?${seconds()}`
  const program = launch(...(await curl(login, path)))
  await program.says(/^\d{4}-.*Z$/m)
  return { name: "curl", ended: lastWords(program), runs: async () => app.open(path) > 0, stop: async () => void (await program.stop()) }
}

export async function liveWebSocket(login: Login, app: HttpApp): Promise<Live> {
  const path = `/ws?${seconds()}`
  const socket = await webSocket(login, path)
  const echoed = new Promise((resolve) => socket.once("message", resolve))
  socket.send("hello")
  await echoed
  return {
    name: "WebSocket",
    ended: new Promise((resolve) => socket.once("close", (code, reason) => resolve(`${reason.toString()}\n[close ${code}]`))),
    runs: async () => app.open(path) > 0,
    stop: async () => socket.terminate(),
  }
}
