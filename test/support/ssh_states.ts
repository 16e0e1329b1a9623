// What people have open at the moment their access ends: a program of some client's, brought to where it stays until somebody ends it.
import { existsSync, statSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { Caller, type Greeter } from "./greeter.ts"
import type { Client, Way } from "./other_ssh_clients.ts"
import { answers, freePort } from "./port.ts"
import { launch, type Program } from "./run.ts"
import { eventually } from "./wait.ts"

export interface Place {
  /** An empty folder of this one's own. */
  readonly folder: string
  /** A file on the target that takes minutes to fetch. */
  readonly large: string
  readonly greeter: Greeter
}

export interface Open {
  readonly program: Program
  /** What must end with it. */
  readonly also: Promise<unknown>
}

export interface State {
  readonly name: string
  /** Settles when it is there; undefined when the client has no such thing. */
  open(client: Client, way: Way, place: Place): Promise<Open> | undefined
}

const nothing = Promise.resolve()
const prompt = /[#$] $/

export const states: readonly State[] = [
  {
    name: "a shell that is idle",
    async open(client, way) {
      const [program, ...words] = client.terminal(way)
      const shell = launch(program, words)
      await shell.says(prompt)
      return { program: shell, also: nothing }
    },
  },
  {
    name: "a shell that runs something",
    async open(client, way) {
      const [program, ...words] = client.terminal(way)
      const shell = launch(program, words)
      await shell.says(prompt)
      shell.type("echo star''ted; sleep 600\n")
      await shell.says("started")
      return { program: shell, also: nothing }
    },
  },
  {
    name: "a command that streams",
    async open(client, way) {
      const [program, ...words] = client.ssh(way)
      const stream = launch(program, [...words, "i=0; while echo line $i; do i=$((i+1)); sleep 0.1; done"])
      await stream.says("line 3")
      return { program: stream, also: nothing }
    },
  },
  {
    name: "a file on its way by sftp",
    open(client, way, { folder, large }) {
      const [batch, got] = [join(folder, "batch"), join(folder, "got")]
      const fetch = client.sftp(way, batch)
      if (!fetch) return undefined
      writeFileSync(batch, `get ${large} ${got}\n`)
      const [program, ...words] = fetch
      const transfer = launch(program, words)
      transfer.type(`get ${large} ${got}\n`)
      return (async () => {
        await eventually("some of the file", () => !transfer.running || (existsSync(got) && statSync(got).size > 0))
        return { program: transfer, also: nothing }
      })()
    },
  },
  {
    name: "-N with a forward that is used",
    async open(client, way, { greeter }) {
      const port = await freePort()
      const [program, ...words] = client.tunnel(way, [{ direction: "local", port, to: greeter.at }])
      const tunnel = launch(program, words)
      await eventually("the forward", () => !tunnel.running || answers(port))
      const caller = new Caller(port)
      await caller.hears("hello\n")
      return { program: tunnel, also: caller.closed }
    },
  },
]
