// A session channel on the gateway itself: `ssh gateway` and `ssh gateway <verb> …`. There is no shell behind it; the line is
// split into words and given to the verbs.
import { GatewayError } from "../../src/core/errors.ts"
import { limits } from "../../src/core/limits.ts"
import type { Identity } from "../../src/core/identity.ts"
import type { Verbs } from "../../src/gateway/contract.ts"
import type { Log } from "../../src/observe/log.ts"
import type { Channel } from "./channel.ts"
import { pack, Reader, readSize, readTerminal } from "./codec.ts"
import { splitLine } from "./command_line.ts"
import { recordable } from "./environment.ts"

const interrupt = 0x03 // Ctrl-C at a raw terminal
const columns_default = 80
const columns_max = 1000
const status_misuse = 2
const status_interrupted = 130 // as a shell says it of SIGINT

export interface VerbChannelOptions {
  readonly channel: Channel
  readonly identity: Identity
  readonly verbs: Verbs
  readonly log: Log
}

/** Waits for the channel's request and runs it; there is nothing to hold on to. */
export const serveVerb = (options: VerbChannelOptions): void => new VerbChannel(options).listen()

class VerbChannel {
  readonly #options: VerbChannelOptions
  readonly #interrupted = new AbortController()
  #terminal = false
  #columns = columns_default
  #started = false

  constructor(options: VerbChannelOptions) {
    this.#options = options
  }

  listen(): void {
    const { channel } = this.#options
    channel.onRequest = (type, data) => this.#request(type, data)
    channel.on("data", (typed: Buffer) => {
      if (this.#terminal && typed.includes(interrupt)) this.#interrupted.abort()
    })
    void channel.gone.then(() => this.#interrupted.abort())
  }

  #request(type: string, data: Buffer): boolean {
    switch (type) {
      case "pty-req":
        this.#terminal = true
        return this.#resize(readTerminal(data).columns)
      case "window-change":
        return this.#resize(readSize(data).columns)
      case "signal":
        if (new Reader(data).text() === "INT") this.#interrupted.abort()
        return true
      case "shell":
        return this.#start("")
      case "exec":
        return this.#start(new Reader(data).text())
      case "subsystem":
        return this.#refuse(`the ${recordable(new Reader(data).text())} subsystem of the gateway itself`)
      default:
        return false // environment, agents, displays: there is nothing that would use them
    }
  }

  #resize(columns: number): boolean {
    this.#columns = columns > 0 ? Math.min(columns, columns_max) : columns_default
    return true
  }

  #refuse(what: string): false {
    const { channel, log } = this.#options
    log.info({ refused: what }, "refused on the gateway's own channel")
    channel.lastWords(`${new GatewayError("unsupported", { what }).say}\n`)
    setImmediate(() => channel.closeNow())
    return false
  }

  #start(line: string): boolean {
    if (this.#started) return false
    this.#started = true
    setImmediate(() => void this.#run(line)) // behind the answer to the request
    return true
  }

  async #run(line: string): Promise<void> {
    const { channel } = this.#options
    const status = await this.#status(line)
    await channel.flushed()
    void channel.request("exit-status", pack(status), false)
    await Promise.race([new Promise((resolve) => channel.end(resolve)), channel.gone])
    channel.destroy()
  }

  async #status(line: string): Promise<number> {
    const { identity, verbs, log } = this.#options
    const { signal } = this.#interrupted
    const error = (text: string): void => this.#write("stderr", text)
    try {
      const words = splitLine(line)
      // Getters, because a window may change while a verb waits.
      const columns = (): number => this.#columns
      const io = {
        write: (text: string) => this.#write("stdout", text),
        error,
        signal,
        get columns() {
          return columns()
        },
      }
      const status = await verbs(identity, words, io)
      return signal.aborted ? status_interrupted : status
    } catch (failure) {
      if (signal.aborted) return status_interrupted
      const told = GatewayError.from(failure, "stale")
      if (told !== failure) log.error({ err: failure }, "a verb failed")
      error(`${told.say}\n`)
      return told.kind === "input" ? status_misuse : 1
    }
  }

  /** A terminal is raw on the client's side: it needs its own carriage returns. */
  #write(stream: "stdout" | "stderr", text: string): void {
    const { channel } = this.#options
    const target = stream === "stdout" ? channel : channel.stderr
    if (!channel.open || target.writableLength > limits.ssh_unsent_bytes_max) return // a reader that never reads
    target.write(this.#terminal ? text.replaceAll(/\r?\n/g, "\r\n") : text)
  }
}
