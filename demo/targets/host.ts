// The demo's host: an SSH server on loopback that lets in the gateway's key alone, and gives it a real shell of whoever started
// the demo, on a terminal or without one.
import { spawn as spawnProcess } from "node:child_process"
import { once } from "node:events"
import { accessSync, constants, existsSync } from "node:fs"
import { constants as system, homedir, hostname, userInfo } from "node:os"
import { spawn as spawnTerminal } from "@lydell/node-pty"
import ssh2 from "ssh2"
import type { AuthContext, PseudoTtyInfo, ServerChannel, Session } from "ssh2"
import { serve, settings } from "./parent.ts"

const { port, login, hostKey, gatewayKey } = settings as { port: number; login: string; hostKey: string; gatewayKey: string }

const gateway = ssh2.utils.parseKey(gatewayKey)
if (gateway instanceof Error) throw gateway
const shell = [userInfo().shell, "/bin/bash", "/bin/sh"].find((path) => path && !/nologin|false$/.test(path) && runnable(path)) ?? "/bin/sh"
/** OpenSSH's, where Debian, Fedora, Arch and macOS have it. */
const sftpServer = [
  "/usr/lib/openssh/sftp-server",
  "/usr/libexec/openssh/sftp-server",
  "/usr/lib/ssh/sftp-server",
  "/usr/libexec/sftp-server",
].find(runnable)
const home = existsSync(homedir()) ? homedir() : "/"
/** What still runs; each entry ends it. */
const running = new Set<() => void>()

await serve(async () => {
  const server = new ssh2.Server({ hostKeys: [hostKey] }, (client) => {
    client.on("error", (failure) => console.error(failure.message))
    client.on("authentication", authenticate)
    client.on("session", (accept) => serveSession(accept()))
  })
  server.listen(port, "127.0.0.1")
  await once(server, "listening")
  return () => {
    for (const end of running) end()
  }
})

function authenticate(context: AuthContext): void {
  const isGateway =
    context.method === "publickey" &&
    context.username === login &&
    !(gateway instanceof Error) &&
    context.key.data.equals(gateway.getPublicSSH())
  if (!isGateway) return context.reject(["publickey"])
  // Without a signature the client only asks whether the key would do.
  if (!context.signature || !context.blob) return context.accept()
  // ssh2 answers an Error, not false, to a signature it cannot read, whatever its types say.
  const verified: unknown = gateway.verify(context.blob, context.signature, context.hashAlgo)
  if (verified === true) context.accept()
  else context.reject(["publickey"])
}

interface Resizable {
  resize(columns: number, rows: number): void
  signal(name: string): void
}

function serveSession(session: Session): void {
  let terminal: PseudoTtyInfo | undefined
  let process_: Resizable | undefined
  const environment: Record<string, string> = {}
  session.on("pty", (accept, _reject, info) => {
    terminal = info
    accept?.()
  })
  session.on("env", (accept, reject, { key, val }) => {
    if (/^(LANG|LC_[A-Z]+)$/.test(key)) {
      environment[key] = val
      accept?.()
    } else reject?.()
  })
  session.on("window-change", (accept, _reject, { cols, rows }) => {
    process_?.resize(cols, rows)
    accept?.()
  })
  session.on("signal", (accept, _reject, { name }) => {
    process_?.signal(name)
    accept?.()
  })
  const begin = (channel: ServerChannel, command: string | undefined): void => {
    process_ = terminal ? onTerminal(channel, command, { terminal, environment }) : withoutTerminal(channel, command, environment)
  }
  session.on("shell", (accept) => begin(accept(), undefined))
  session.on("exec", (accept, _reject, { command }) => begin(accept(), command))
  session.on("subsystem", (accept, reject, { name }) => {
    if (name === "sftp" && sftpServer) process_ = withoutTerminal(accept(), `exec ${sftpServer}`, environment)
    else reject?.()
  })
}

interface Surroundings {
  readonly terminal: PseudoTtyInfo
  readonly environment: Readonly<Record<string, string>>
}

function onTerminal(channel: ServerChannel, command: string | undefined, { terminal, environment }: Surroundings): Resizable {
  const { cols, rows, term } = terminal as PseudoTtyInfo & { term?: string }
  const pty = spawnTerminal(shell, command === undefined ? ["-l"] : ["-c", command], {
    name: term || "xterm-256color",
    cols: cols || 80,
    rows: rows || 24,
    cwd: home,
    env: { ...surroundings(environment), TERM: term || "xterm-256color" },
    encoding: null,
  })
  const end = (): void => kill(pty.pid, "SIGHUP")
  running.add(end)
  // With `encoding: null` it gives and takes bytes, whatever its types say.
  pty.onData((data: unknown) => {
    if (!channel.write(data)) pty.pause()
  })
  channel.on("drain", () => pty.resume())
  channel.on("data", (data: Buffer) => pty.write(data as unknown as string))
  channel.on("close", end)
  pty.onExit(({ exitCode, signal }) => {
    running.delete(end)
    finish(channel, exitCode, signal ? signalName(signal) : undefined)
  })
  return {
    resize: (columns, lines) => pty.resize(Math.max(columns, 1), Math.max(lines, 1)),
    signal: (name) => kill(-pty.pid, `SIG${name}` as NodeJS.Signals),
  }
}

function withoutTerminal(channel: ServerChannel, command: string | undefined, environment: Readonly<Record<string, string>>): Resizable {
  // A process group of its own, so that a signal reaches all of it.
  const child = spawnProcess(shell, command === undefined ? ["-l"] : ["-c", command], {
    cwd: home,
    env: surroundings(environment),
    detached: true,
    stdio: "pipe",
  })
  const end = (): void => kill(-(child.pid ?? 0), "SIGHUP")
  running.add(end)
  channel.pipe(child.stdin)
  child.stdin.on("error", () => {}) // it need not read what it is sent
  child.stdout.pipe(channel, { end: false })
  child.stderr.pipe(channel.stderr, { end: false })
  channel.on("close", end)
  child.on("error", () => finish(channel, 127, undefined))
  child.on("close", (status, signal) => {
    running.delete(end)
    finish(channel, status ?? 0, signal ?? undefined)
  })
  return { resize: () => {}, signal: (name) => kill(-(child.pid ?? 0), `SIG${name}` as NodeJS.Signals) }
}

function finish(channel: ServerChannel, status: number, signal: string | undefined): void {
  if (channel.destroyed) return
  if (signal) channel.exit(signal.replace(/^SIG/, ""))
  else channel.exit(status)
  channel.end()
}

function surroundings(asked: Readonly<Record<string, string>>): Record<string, string> {
  const { username } = userInfo()
  const path = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
  return { LANG: "C.UTF-8", ...asked, HOME: home, USER: username, LOGNAME: username, SHELL: shell, PATH: path, HOSTNAME: hostname() }
}

function signalName(number: number): string | undefined {
  return Object.entries(system.signals).find(([, value]) => value === number)?.[0]
}

function kill(pid: number, signal: NodeJS.Signals): void {
  try {
    if (pid !== 0) process.kill(pid, signal)
  } catch {
    // It has ended already, or there is no such signal.
  }
}

function runnable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK)
    return true
  } catch {
    return false
  }
}
