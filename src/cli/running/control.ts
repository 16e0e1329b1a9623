// The door by which a running Sluice is spoken to from its own machine: a socket in its state folder, so that whoever may write there,
// and nobody else, can. That something answers on it is also what shows that it runs: a file with a process number would not. It owns
// the conversation, one line there and one back; there is one thing to say.
import { chmod, mkdir, open, rm } from "node:fs/promises"
import { createConnection, createServer, type Server, type Socket } from "node:net"
import { limits } from "../../core/limits.ts"
import type { State } from "../../config/state.ts"
import type { Log } from "../../observe/log.ts"
import type { Outcome } from "./reloader.ts"
import type { Role } from "./start.ts"

export const roles: readonly Role[] = ["all", "approvals", "gateway"]
const folder = "run"
const question = "reload\n"

export interface ControlOptions {
  readonly state: State
  readonly role: Role
  readonly reload: () => Promise<Outcome>
  readonly log: Log
}

export interface Control {
  close(): Promise<void>
}

/** Without it there are still signals: what goes wrong is logged, and nothing is rejected. */
export async function openControl({ state, role, reload, log }: ControlOptions): Promise<Control> {
  const nothing: Control = { close: async () => {} }
  try {
    await mkdir(state.path(folder), { recursive: true, mode: 0o700 })
    const place = await shortPath(state.path(folder))
    const path = `${place.path}/${role}.sock`
    try {
      if (await connected(path)) {
        log.warn({ role }, "another sluice with this state folder and role runs: `sluice reload` reaches that one")
        await place.close()
        return nothing
      }
      await rm(path, { force: true }) // of one that was killed
      const server = createServer({ allowHalfOpen: true }, (client) => serve(client, reload))
      server.maxConnections = limits.control_clients_max
      server.on("error", (err) => log.warn({ err }, "`sluice reload` cannot be heard"))
      await listening(server, path)
      await chmod(path, 0o600)
      return {
        async close() {
          await closed(server)
          await place.close()
        },
      }
    } catch (failure) {
      await place.close()
      throw failure
    }
  } catch (err) {
    log.warn({ err }, "`sluice reload` will not work; SIGHUP does")
    return nothing
  }
}

/** Asks the one with this state folder and role to reload. Undefined: none runs. Rejects with words when it does not answer. */
export async function askReload(state: Pick<State, "path">, role: Role): Promise<Outcome | undefined> {
  let place
  try {
    place = await shortPath(state.path(folder))
  } catch (failure) {
    if ((failure as NodeJS.ErrnoException).code === "ENOENT") return undefined
    throw failure
  }
  try {
    const client = await connected(`${place.path}/${role}.sock`)
    return client && (await answerOf(client))
  } finally {
    await place.close()
  }
}

async function answerOf(client: Socket): Promise<Outcome> {
  client.setTimeout(limits.control_reload_ms_max, () => client.destroy(new Error("it does not answer")))
  client.end(question)
  let text = ""
  for await (const chunk of client.setEncoding("utf8")) text += String(chunk)
  if (!text.endsWith("\n")) throw new Error("it ended before it had answered")
  return JSON.parse(text) as Outcome
}

function serve(client: Socket, reload: () => Promise<Outcome>): void {
  let text = ""
  client.on("error", () => client.destroy())
  // What whoever asked waits for may take longer than what they have to say.
  client.setTimeout(limits.control_question_ms_max, () => client.destroy())
  client.setEncoding("utf8").on("data", (chunk: string) => {
    text += chunk
    if (text === question) {
      client.setTimeout(0)
      void reload().then((outcome) => client.end(`${JSON.stringify(outcome)}\n`))
    } else if (!question.startsWith(text)) client.destroy()
  })
}

/** The socket, or undefined when nobody listens there. */
function connected(path: string): Promise<Socket | undefined> {
  return new Promise((resolve, reject) => {
    const socket = createConnection({ path, allowHalfOpen: true })
    socket.once("connect", () => resolve(socket))
    socket.once("error", (failure: NodeJS.ErrnoException) => {
      if (failure.code === "ENOENT" || failure.code === "ECONNREFUSED") resolve(undefined)
      else reject(failure)
    })
  })
}

function listening(server: Server, path: string): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once("error", reject)
    server.listen({ path }, () => {
      server.off("error", reject)
      resolve()
    })
  })
}

const closed = (server: Server): Promise<void> => new Promise((resolve) => void server.close(() => resolve()))

/** A socket's path has at most 107 bytes (unix(7)); a folder's is as long as somebody likes. */
async function shortPath(path: string): Promise<{ readonly path: string; close(): Promise<void> }> {
  const handle = await open(path, "r")
  return { path: `/proc/self/fd/${handle.fd}`, close: () => handle.close() }
}
