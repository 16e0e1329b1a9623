// One session channel between a client and a target: the requests that prepare a program, the decision, the program's streams
// with what must be on record, and how it ended. The connections on both sides are somebody else's.
import { GatewayError } from "../../src/core/errors.ts"
import { limits } from "../../src/core/limits.ts"
import type { Decided, Waiting } from "../../src/gateway/contract.ts"
import { pump } from "../../src/gateway/pump.ts"
import type { Event, Outcome } from "../../src/record/events.ts"
import type { Channel } from "./channel.ts"
import { type Exit, pack, packExit, packSize, Reader, readExit, readSize, readTerminal, type Terminal } from "./codec.ts"
import { mayPass, recordable } from "./environment.ts"
import { actionOf, type Program, startProgram } from "./program.ts"
import { programStreams, sftpRelay, type Streams } from "./program_streams.ts"
import type { RelayOptions } from "./relay_options.ts"
import { TerminalModes } from "./terminal_modes.ts"
import { ChannelHolds, tellWaiting, watchForInterrupt } from "./waiting_program.ts"

const status_failed = 255 // what ssh itself exits with when the connection failed
/** Of a command that was not allowed to run. */
const status_denied = 1

export class ChannelRelay {
  readonly #channel: Channel
  readonly #options: RelayOptions
  readonly #env: [name: string, value: string][] = []
  readonly #notices: string[] = []
  /** Whether the program may use the client's agent, once that was asked. */
  #agent: Promise<Decided> | undefined
  #terminal: Terminal | undefined
  readonly #modes = new TerminalModes()
  #requests = 0
  #started = false
  /** What was started waits for a decision. */
  #waiting: Waiting | undefined
  readonly #holds = new ChannelHolds()
  /** Why nothing more can come of this channel. */
  #abandoned: GatewayError | undefined
  #up: Channel | undefined
  /** The session's signal, for this channel alone: what waits on a session's own would gather there. */
  readonly #cut = Promise.withResolvers<void>()
  readonly #done = Promise.withResolvers<void>()
  /** The program is over and the client was told, or the client has gone. */
  readonly ended: Promise<void>

  constructor(options: RelayOptions) {
    this.#options = options
    this.#channel = options.channel
    this.#channel.onRequest = (type, data) => this.#request(type, data)
    options.session.signal.addEventListener("abort", this.#silence, { once: true })
    void Promise.race([this.#channel.gone, this.#cut.promise]).then(() => this.#holds.end())
    this.ended = Promise.race([this.#done.promise, this.#channel.gone]).then(() => {
      options.session.signal.removeEventListener("abort", this.#silence)
    })
  }

  /** Five minutes before the end, and such: only where somebody sits at a terminal, and only while it takes them; false elsewhere. */
  warn(words: string): boolean {
    if (!this.#started || !this.#terminal) return false
    if (this.#channel.stderr.writableLength <= limits.ssh_unsent_bytes_max) this.#channel.stderr.write(`\r\n${words}\r\n`)
    return true
  }

  /** The last line the client sees. Settles when it has been seen, or should have been. */
  async farewell(words: string): Promise<void> {
    this.#channel.lastWords(this.#terminal ? onLineOfItsOwn(words, this.#modes.reset) : `${words}\n`)
    const bound = Promise.withResolvers<void>()
    const timer = this.#options.clock.after(limits.ssh_heard_ms_max, bound.resolve)
    await Promise.race([this.#channel.heard(), bound.promise])
    timer.cancel()
  }

  /** The same at a cut. What was begun has failed: dbclient takes a disconnect for a success, unless it has seen the program's end. */
  async cut(words: string): Promise<void> {
    await this.farewell(words)
    if (!this.#started) return
    void this.#channel.request(...packExit({ status: status_failed }), false)
    this.#channel.closeNow()
  }

  /**
   * Stops the program on the target: asks, and after `ssh_stop_ms` kills. `sweep` is called when the target's sshd says that it
   * passes no signals on: RFC 4254 knows no answer to them, OpenSSH gives one.
   */
  async stop(sweep: () => void): Promise<void> {
    const up = this.#up
    if (!up?.open) return
    up.resume() // what it still says is dropped, so that it is not kept waiting
    up.stderrIn.resume()
    void up.request("signal", pack("HUP")).then((taken) => {
      if (!taken && up.open) sweep()
    })
    signal(up, "TERM")
    const timer = Promise.withResolvers<void>()
    const kill = this.#options.clock.after(limits.ssh_stop_ms, timer.resolve)
    await Promise.race([up.gone, timer.promise])
    kill.cancel()
    signal(up, "KILL")
    up.closeNow()
  }

  /** The target has gone: nothing waits for it any more. What runs there sees it by itself. */
  abandon(why: GatewayError): void {
    this.#abandoned = why
    this.#holds.end()
    if (!this.#started) this.#done.resolve()
  }

  readonly #silence = (): void => {
    this.#channel.silence()
    this.#up?.silence()
    this.#cut.resolve()
  }

  /** Answers one channel request (RFC 4254, section 6). */
  #request(type: string, data: Buffer): boolean {
    if (this.#options.session.signal.aborted) return false
    if (!this.#started && ++this.#requests > limits.ssh_requests_max) return false
    switch (type) {
      case "pty-req":
        return this.#pty(readTerminal(data))
      case "env":
        return this.#setEnv(new Reader(data))
      case "window-change":
        return this.#resize(data)
      case "signal":
        return this.#signal(new Reader(data).text())
      case "shell":
        return this.#options.allow.shell ? this.#start({ kind: "shell" }) : this.#refuse("a shell", "last")
      case "exec":
        return this.#options.allow.exec
          ? this.#start({ kind: "exec", command: new Reader(data).bytes() })
          : this.#refuse("a command", "last")
      case "subsystem":
        return this.#subsystem(new Reader(data).text())
      case "auth-agent-req@openssh.com":
        return this.#askAgent()
      case "x11-req":
        return this.#refuse("X11 forwarding", this.#options.forwards.firstDisplay() ? "say" : "silent")
      default:
        return false // also what only asks whether we are alive
    }
  }

  #pty(terminal: Terminal): boolean {
    if (this.#started || this.#terminal) return false
    const term = recordable(terminal.term)
    if (!this.#write({ kind: "pty", channel: this.#channel.id, term, columns: terminal.columns, rows: terminal.rows })) return false
    this.#terminal = { ...terminal, term }
    this.#channel.onSent = (data) => this.#modes.follow(data)
    return true
  }

  #setEnv(reader: Reader): boolean {
    const name = reader.text()
    const value = reader.text()
    if (this.#started || this.#env.length >= limits.ssh_env_vars_max) return false
    if (!mayPass(name, value, this.#options.allow.env)) {
      this.#write({ kind: "refused", what: `the environment variable ${recordable(name)}` })
      return false
    }
    if (!this.#write({ kind: "env", channel: this.#channel.id, name })) return false
    this.#env.push([name, value])
    return true
  }

  #resize(data: Buffer): boolean {
    const size = readSize(data)
    if (!this.#terminal) return false
    if (!this.#write({ kind: "resize", channel: this.#channel.id, columns: size.columns, rows: size.rows })) return false
    this.#terminal = { ...this.#terminal, ...size }
    void this.#up?.request("window-change", packSize(size), false)
    return true
  }

  #signal(name: string): boolean {
    if (!this.#started || !/^[A-Z0-9]{2,10}$/.test(name)) return false
    if (this.#waiting && name === "INT") this.#waiting.withdraw()
    if (!this.#write({ kind: "signal", channel: this.#channel.id, name })) return false
    if (this.#up) signal(this.#up, name)
    return true
  }

  #subsystem(name: string): boolean {
    const { sftp } = this.#options
    if (name !== "sftp" || this.#terminal) return this.#refuse(`the ${recordable(name)} subsystem`, "last")
    if (sftp === "off") return this.#refuse("sftp", "last")
    return this.#start({ kind: "sftp", access: sftp })
  }

  #askAgent(): boolean {
    if (this.#started || this.#agent) return false
    const decision = this.#options.forwards.decideAgent(this.#channel.id)
    if (!decision) return this.#refuse("agent forwarding", "note")
    if (decision.verdict === "hold") {
      tellWaiting(decision, this.#channel, this.#terminal !== undefined)
      this.#holds.add(decision)
    }
    this.#agent = decision.verdict === "hold" ? decision.decided : Promise.resolve(decision)
    return decision.verdict !== "deny"
  }

  /**
   * `last`: nothing else can come on this channel, so it is said and the channel closed. `note`: said where somebody sits at a
   * terminal; `say`: also to a program, ahead of its own words.
   */
  #refuse(what: string, how: "note" | "say" | "silent" | "last"): boolean {
    const { session } = this.#options
    const error = new GatewayError(what === "X11 forwarding" ? "unsupported" : "not_allowed", { what, session: session.id })
    this.#write({ kind: "refused", what })
    if (how === "last") return this.#deny(error)
    if (how === "note") this.#notices.push(error.say)
    else if (how === "say") this.#channel.stderr.write(`${error.say}${this.#terminal ? "\r\n" : "\n"}`)
    return false
  }

  /**
   * Answers the request as if a program began, which says why not and fails: at a failed request OpenSSH's client leaves at once,
   * now and then before it has printed what came ahead of it.
   */
  #deny(error: GatewayError): true {
    this.#started = true
    setImmediate(() => void this.#leave(error, status_denied))
    return true
  }

  async #leave(error: GatewayError, status: number): Promise<void> {
    if (this.#options.session.signal.aborted) return // those who cut say why, and close
    void this.farewell(error.say) // nothing comes behind it that would make the client leave without reading it
    await this.#close({ status })
    this.#channel.destroy()
    this.#done.resolve()
  }

  #start(program: Program): boolean {
    if (this.#started) return false
    const { session } = this.#options
    const channel = this.#channel.id
    if (program.kind === "exec" && program.command.length > limits.ssh_command_bytes_max) {
      this.#write({ kind: "refused", what: `a command of ${program.command.length} bytes` })
      return this.#deny(new GatewayError("too_large", { session: session.id }))
    }
    // To an sshd that reads it as a C string it ends there, and is another one than was decided about.
    if (program.kind === "exec" && program.command.includes(0)) return this.#refuse("a command with a NUL in it", "last")
    const decision = session.decide(actionOf(channel, program))
    this.#started = true
    if (this.#terminal) for (const words of this.#options.words.take()) this.warn(words)
    // The client is told that it runs: what it sends meanwhile waits in the channel's window.
    if (decision.verdict === "hold") this.#wait(program, decision)
    else this.#begin(program, decision)
    return true
  }

  #wait(program: Program, waiting: Waiting): void {
    this.#waiting = waiting
    tellWaiting(waiting, this.#channel, this.#terminal !== undefined)
    const readOn = this.#terminal ? watchForInterrupt(waiting, this.#channel, this.#terminal.modes) : undefined
    this.#holds.add(waiting)
    void waiting.decided.then((decided) => {
      this.#waiting = undefined
      readOn?.()
      this.#begin(program, decided)
    })
  }

  #begin(program: Program, decided: Decided): void {
    if (decided.verdict === "deny" && this.#abandoned) void this.#leave(this.#abandoned, status_failed)
    else if (decided.verdict === "deny") this.#deny(decided.error)
    else void this.#run(program, decided.action)
  }

  async #run(program: Program, action: number): Promise<void> {
    const { session } = this.#options
    const began = performance.now()
    const recording = { session, channel: this.#channel, record: this.#options.record }
    const sftp = program.kind === "sftp" ? sftpRelay(recording, program.access) : undefined
    if (sftp) void this.#channel.gone.then(() => sftp.withdraw())
    const streams = programStreams(recording, sftp ?? (this.#terminal ? "terminal" : "command"))
    let exit: Exit | undefined
    let status: Outcome["status"] = "ok"
    let said: Promise<void> | undefined
    try {
      exit = await this.#pass(program, streams)
      if (session.signal.aborted) status = "cut"
      else if (!exit && this.#channel.open) throw await this.#unfinished()
      else if (!exit) status = "cancelled"
      else if (!("status" in exit) || exit.status !== 0) status = "error"
    } catch (failure) {
      status = session.signal.aborted ? "cut" : "lost"
      if (status === "lost") said = this.#lost(GatewayError.from(failure, "target_broke"))
    }
    for (const stream of Object.values(streams)) stream?.end()
    sftp?.end()
    session.outcome({
      action,
      status,
      duration_ms: Math.round(performance.now() - began),
      ...(exit && "status" in exit ? { exit: exit.status } : {}),
      ...(exit && "signal" in exit ? { signal: recordable(exit.signal) } : {}),
      ...(sftp ? { lookups: sftp.lookups } : {}),
      bytes_up: streams.stdin.bytes - (sftp?.kept ?? 0),
      bytes_down: streams.stdout.bytes + streams.stderr.bytes,
    })
    if (status === "cut") return // the farewell is said and the channel closed by those who cut
    await said
    await this.#close(exit ?? { status: status_failed })
    this.#up?.destroy()
    this.#channel.destroy()
    this.#done.resolve()
  }

  async #unfinished(): Promise<GatewayError> {
    const { transport } = await this.#options.upstream()
    const code = transport.silent_ms === undefined ? "target_broke" : "target_silent"
    return new GatewayError(code, {}, new Error("the program ended without an exit status"))
  }

  /** One of both sides failed: said to the client, and put on record when it broke its protocol. */
  async #lost(error: GatewayError): Promise<void> {
    if (error.facts.what !== undefined) this.#write({ kind: "refused", what: error.facts.what })
    await this.farewell(error.with({ session: this.#options.session.id }).say)
  }

  /** Runs the program upstream and relays until it is over; how it ended, or undefined when nobody will ever know. */
  async #pass(program: Program, { stdin, stdout, stderr }: Streams): Promise<Exit | undefined> {
    const { session, upstream } = this.#options
    const down = this.#channel
    const agent = await this.#agent
    if (agent?.verdict === "deny") this.#notices.push(agent.error.say)
    const up = await (await upstream()).openSession()
    this.#up = up
    if (session.signal.aborted || !down.open) {
      up.closeNow()
      return undefined
    }
    let exit: Exit | undefined
    up.onRequest = (type, data) => {
      exit ??= readExit(type, data)
      return false
    }
    if (agent?.verdict === "allow") {
      this.#options.forwards.lendAgent(agent.action)
      void up.request("auth-agent-req@openssh.com", Buffer.alloc(0), false)
    }
    const accepted = startProgram(up, program, { env: this.#env, terminal: this.#terminal, say: (words) => void down.stderr.write(words) })
    void down.gone.then(() => {
      if (session.signal.aborted) return // `stop` has more to say to the program than this
      signal(up, "HUP")
      up.closeNow()
    })
    if (this.#terminal) for (const notice of this.#notices) down.stderr.write(`${notice}\r\n`)
    const toTarget = pump({ from: down, to: up, session, direction: "up", pass: stdin.pass })
    const toClient = [
      pump({ from: up, to: down, session, direction: "down", pass: stdout.pass, end: false }),
      pump({ from: up.stderrIn, to: down.stderr, session, direction: "down", pass: stderr.pass, end: false }),
    ]
    const broken = Promise.withResolvers<never>()
    broken.promise.catch(() => {})
    // A program need not read all of its input; what the client itself sends wrong is another matter.
    toTarget.catch((failure: unknown) => (failure instanceof GatewayError ? broken.reject(failure) : undefined))
    const over = Promise.race([Promise.all([...toClient, up.gone]), down.gone, this.#cut.promise, broken.promise])
    // A target may break the protocol before it has said whether the program runs.
    if (!(await Promise.race([accepted, over.then(() => true)]))) {
      throw new GatewayError("not_started")
    }
    await over
    return exit
  }

  /** All output first, then how it ended, then the end of output, then the end of the channel. */
  async #close(exit: Exit): Promise<void> {
    const down = this.#channel
    await Promise.race([down.flushed(), this.#cut.promise])
    if (this.#options.session.signal.aborted) return
    void down.request(...packExit(exit), false)
    await Promise.race([new Promise((resolve) => down.end(resolve)), down.gone, this.#cut.promise])
  }

  #write(event: Event): boolean {
    return this.#options.session.recorder.write(event)
  }
}

/** On a terminal that is set back first, and cleared below them where programs have drawn: they are not read among what is left. */
const onLineOfItsOwn = (words: string, reset: string): string => `${reset}\r\n${reset && "\u001b[J"}${words}\r\n`

const signal = (up: Channel, name: string): void => void up.request("signal", pack(name), false)
