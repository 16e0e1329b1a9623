// Clients of SSH, set up as their users have them: OpenSSH's, Debian's and a newer one, dropbear's dbclient, PuTTY's plink, psftp and pscp,
// paramiko and asyncssh. Each comes to the gateway through a jump or under `login@target`; all accept the one host key the gateway has.
import { execFileSync } from "node:child_process"
import { join } from "node:path"
import { fingerprint } from "../../src/identity/ssh_fingerprint.ts"
import type { Person } from "./people.ts"
import { scratch } from "./scratch.ts"
import { blobOf } from "./ssh_certificates.ts"
import { mustHave } from "./tools.ts"

export const ways = ["-J", "login@target@gateway"] as const
export type Way = (typeof ways)[number]

export interface Place {
  readonly person: Person
  readonly port: number
  readonly login: string
  readonly target: string
  /** The gateway's plain key: "ssh-ed25519 AAAA…" */
  readonly hostKey: string
  /** OpenSSH's own first words, as `sluice.ssh(person)` has them. */
  readonly openssh: readonly string[]
}

/** A program and the words that lead to the target; a command goes behind them. */
export type Words = readonly [program: string, ...words: string[]]

/** On `port` of this machine (local) or of the target (remote); what comes there is carried to the other end's `host:port`. */
export interface Forward {
  readonly direction: "local" | "remote"
  readonly port: number
  readonly to: string
}

export interface Client {
  readonly name: string
  ssh(way: Way): Words
  /** A shell at a terminal, whose output is the program's. */
  terminal(way: Way): Words
  /** Without a program: it stays for what it forwards, which may be nothing. */
  tunnel(way: Way, forwards: readonly Forward[]): Words
  /** What a tunnel says when it is there; undefined: nothing, but then it can be used as soon as it listens. */
  readonly ready?: string
  /** A connection that others share, and a program on it: ControlMaster, or what the client has in its place. `at`: a path of its own. */
  shared(way: Way, at: string): { readonly first: Words; readonly again: Words } | undefined
  /** For `rsync -e`: the words without the host, which rsync adds, and the host. Undefined: it has no such form. */
  rsync(way: Way): { readonly shell: string; readonly host: string } | undefined
  /** `batch`: a file of commands, which is also its input. */
  sftp(way: Way, batch: string): Words | undefined
  /** How its exit status reads when a signal has ended the command, whoever the server is. */
  readonly signalled: "failure" | "success"
  scp(way: Way, from: string, to: string): Words | undefined
}

export function clients(place: Place): readonly Client[] {
  return [openssh(place), openssh(place, "newer-"), dropbear(place), putty(place), library(place, "paramiko"), library(place, "asyncssh")]
}

/** `-L` and `-R` are the same to all that have them. */
const flags = (forwards: readonly Forward[]): string[] =>
  forwards.flatMap(({ direction, port, to }) => [direction === "local" ? "-L" : "-R", `${port}:${to}`])

/** dbclient takes no terminal that is none. */
const atTerminal = (words: readonly string[]): Words => ["script", "-qefc", quoted(words), "/dev/null"]

const quoted = (words: readonly string[]): string => words.map((word) => (/^[\w@%/.:,=+-]+$/.test(word) ? word : `'${word}'`)).join(" ")

/** `prefix`: of the programs' names. */
function openssh({ login, target, openssh: first }: Place, prefix = ""): Client {
  const [ssh, sftp, scp] = [`${prefix}ssh`, `${prefix}sftp`, `${prefix}scp`]
  const to = (way: Way): [string[], string] =>
    way === "-J" ? [[...first, "-J", "gateway"], `${login}@${target}`] : [[...first], `${login}@${target}@gateway`]
  return {
    name: prefix === "" ? "OpenSSH" : "OpenSSH 10",
    signalled: "failure",
    ssh: (way) => [ssh, ...to(way).flat()],
    terminal: (way) => atTerminal([ssh, ...to(way).flat()]),
    tunnel: (way, forwards) => [ssh, "-N", "-o", "ExitOnForwardFailure=yes", ...flags(forwards), ...to(way).flat()],
    shared: (way, at) => ({
      first: [ssh, "-M", "-S", at, "-o", "ControlPersist=no", ...to(way).flat()],
      again: [ssh, "-S", at, ...to(way).flat()],
    }),
    rsync: (way) => ({ shell: quoted([ssh, ...to(way)[0]]), host: to(way)[1] }),
    sftp: (way, batch) => [sftp, "-S", mustHave(ssh), ...to(way)[0], "-b", batch, to(way)[1]],
    scp: (way, from, path) => [scp, "-S", mustHave(ssh), ...to(way)[0], from, `${to(way)[1]}:${path}`],
  }
}

/** An address as the user's name would be read as `login@target`. */
const outer = ({ name }: Person): string => name.replaceAll(/[^a-z0-9]/g, "_")

function dropbear({ person, port, login, target }: Place): Client {
  const key = join(scratch("dropbear"), "id")
  execFileSync(mustHave("dropbearconvert"), ["openssh", "dropbear", person.file, key], { stdio: "ignore" })
  const first = ["-y", "-y", "-i", key]
  const jump = quoted(["dbclient", "-T", ...first, "-p", String(port), "-l", outer(person), "-B", `${target}:22`, "127.0.0.1"])
  const to = (way: Way): string[] =>
    way === "-J" ? [...first, "-J", jump, "-l", login] : [...first, "-p", String(port), "-l", `${login}@${target}`]
  const host = (way: Way): string => (way === "-J" ? target : "127.0.0.1")
  return {
    name: "dropbear",
    signalled: "success",
    ssh: (way) => ["dbclient", "-T", ...to(way), host(way)],
    terminal: (way) => atTerminal(["dbclient", "-t", ...to(way), host(way)]),
    tunnel: (way, forwards) => ["dbclient", "-N", ...flags(forwards), ...to(way), host(way)],
    shared: () => undefined,
    rsync: (way) => ({ shell: quoted(["dbclient", "-T", ...to(way)]), host: host(way) }),
    sftp: () => undefined,
    scp: () => undefined,
  }
}

function putty({ person, port, login, target, hostKey }: Place): Client {
  const key = join(scratch("putty"), "id.ppk")
  execFileSync(mustHave("puttygen"), [person.file, "-O", "private", "-o", key], { stdio: "ignore" })
  const first = ["-batch", "-hostkey", fingerprint(blobOf(hostKey)), "-i", key]
  const jump = quoted(["plink", ...first, "-P", String(port), "-l", outer(person), "-nc", `${target}:22`, "127.0.0.1"])
  const to = (way: Way): string[] =>
    way === "-J" ? [...first, "-proxycmd", jump, "-l", login] : [...first, "-P", String(port), "-l", `${login}@${target}`]
  const host = (way: Way): string => (way === "-J" ? target : "127.0.0.1")
  return {
    name: "PuTTY",
    signalled: "failure",
    ssh: (way) => ["plink", ...to(way), host(way)],
    terminal: (way) => atTerminal(["plink", "-t", ...to(way), host(way)]),
    tunnel: (way, forwards) => ["plink", "-N", ...flags(forwards), ...to(way), host(way)],
    shared: (way) => ({ first: ["plink", "-share", ...to(way), host(way)], again: ["plink", "-share", ...to(way), host(way)] }),
    rsync: (way) => ({ shell: quoted(["plink", ...to(way)]), host: host(way) }),
    sftp: (way, batch) => ["psftp", ...to(way), "-b", batch, host(way)],
    scp: (way, from, path) => ["pscp", "-q", ...to(way), from, `${host(way)}:${path}`],
  }
}

/** Debian's python, which has Debian's paramiko and asyncssh. */
export const python = "/usr/bin/python3"

/** A program around a library; it says what a user of the library would see. */
function library({ person, port, login, target }: Place, name: "paramiko" | "asyncssh"): Client {
  const program = join(import.meta.dirname, `${name}_client.py`)
  const words = (way: Way, what: string, ...more: string[]): Words => [
    python,
    "-W",
    "ignore",
    program,
    way,
    String(port),
    outer(person),
    login,
    target,
    person.file,
    what,
    ...more,
  ]
  return {
    name,
    ready: "ready",
    signalled: "failure",
    ssh: (way) => words(way, "run"),
    terminal: (way) => words(way, "terminal"),
    tunnel: (way, forwards) =>
      words(way, "tunnel", ...forwards.map((one) => `${one.direction === "local" ? "L" : "R"}:${one.port}:${one.to}`)),
    shared: () => undefined,
    rsync: () => undefined,
    sftp: (way) => words(way, "sftp"),
    scp: (way, from, path) => (name === "asyncssh" ? words(way, "scp", from, path) : undefined),
  }
}
