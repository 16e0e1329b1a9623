// Clients of SSH that are not OpenSSH's, set up as their users have them: dropbear's dbclient, PuTTY's plink, psftp and pscp, and
// paramiko. Each comes to the gateway through a jump or under `login@target`; all accept the one host key the gateway has.
import { execFileSync } from "node:child_process"
import { writeFileSync } from "node:fs"
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

export interface Client {
  readonly name: string
  ssh(way: Way): Words
  /** For `rsync -e`: the words without the host, which rsync adds, and the host. Undefined: it has no such form. */
  rsync(way: Way): { readonly shell: string; readonly host: string } | undefined
  /** `batch`: a file of commands, which is also its input. */
  sftp(way: Way, batch: string): Words | undefined
  /** How its exit status reads when a signal has ended the command, whoever the server is, and at a cut. */
  readonly signalled: "failure" | "success"
  scp(way: Way, from: string, to: string): Words | undefined
}

export function clients(place: Place): readonly Client[] {
  return [openssh(place), dropbear(place), putty(place), paramiko(place)]
}

const quoted = (words: readonly string[]): string => words.map((word) => (/^[\w@%/.:,=+-]+$/.test(word) ? word : `'${word}'`)).join(" ")

function openssh({ login, target, openssh: first }: Place): Client {
  const to = (way: Way): [string[], string] =>
    way === "-J" ? [[...first, "-J", "gateway"], `${login}@${target}`] : [[...first], `${login}@${target}@gateway`]
  return {
    name: "OpenSSH",
    signalled: "failure",
    ssh: (way) => ["ssh", ...to(way).flat()],
    rsync: (way) => ({ shell: quoted(["ssh", ...to(way)[0]]), host: to(way)[1] }),
    sftp: (way, batch) => ["sftp", ...to(way)[0], "-b", batch, to(way)[1]],
    scp: (way, from, path) => ["scp", ...to(way)[0], from, `${to(way)[1]}:${path}`],
  }
}

/** An address as the user's name would be read as `login@target`. */
const outer = ({ name }: Person): string => name.replaceAll(/[^a-z0-9]/g, "_")

function dropbear({ person, port, login, target }: Place): Client {
  const key = join(scratch("dropbear"), "id")
  execFileSync(mustHave("dropbearconvert"), ["openssh", "dropbear", person.file, key], { stdio: "ignore" })
  const first = ["-T", "-y", "-y", "-i", key]
  const jump = quoted(["dbclient", ...first, "-p", String(port), "-l", outer(person), "-B", `${target}:22`, "127.0.0.1"])
  const to = (way: Way): string[] =>
    way === "-J" ? [...first, "-J", jump, "-l", login] : [...first, "-p", String(port), "-l", `${login}@${target}`]
  const host = (way: Way): string => (way === "-J" ? target : "127.0.0.1")
  return {
    name: "dropbear",
    signalled: "success",
    ssh: (way) => ["dbclient", ...to(way), host(way)],
    rsync: (way) => ({ shell: quoted(["dbclient", ...to(way)]), host: host(way) }),
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
    rsync: (way) => ({ shell: quoted(["plink", ...to(way)]), host: host(way) }),
    sftp: (way, batch) => ["psftp", ...to(way), "-b", batch, host(way)],
    scp: (way, from, path) => ["pscp", "-q", ...to(way), from, `${host(way)}:${path}`],
  }
}

/** Debian's python, which has Debian's paramiko. */
export const python = "/usr/bin/python3"

const script = `
import sys, threading, paramiko
way, port, user, login, target, keyfile, what, *rest = sys.argv[1:]
key = paramiko.Ed25519Key.from_private_key_file(keyfile)
def connected(sock, name):
    t = paramiko.Transport(sock)
    t.connect(username=name, pkey=key)
    return t
if way == "-J":
    outer = connected(("127.0.0.1", int(port)), user)
    t = connected(outer.open_channel("direct-tcpip", (target, 22), ("127.0.0.1", 0)), login)
else:
    t = connected(("127.0.0.1", int(port)), login + "@" + target)
if what == "sftp":
    files = paramiko.SFTPClient.from_transport(t)
    for line in sys.stdin:
        verb, *names = line.split()
        {"put": files.put, "get": files.get, "rename": files.rename}[verb](*names)
    sys.exit(0)
c = t.open_session()
if rest: c.exec_command(" ".join(rest))
else: c.invoke_shell()
def feed():
    while True:
        data = sys.stdin.buffer.read(65536)
        if not data: break
        c.sendall(data)
    c.shutdown_write()
def complain():
    while True:
        data = c.recv_stderr(65536)
        if not data: break
        sys.stderr.buffer.write(data); sys.stderr.flush()
threading.Thread(target=feed, daemon=True).start()
errors = threading.Thread(target=complain)
errors.start()
while True:
    data = c.recv(65536)
    if not data: break
    sys.stdout.buffer.write(data); sys.stdout.flush()
errors.join()
status = c.recv_exit_status()
sys.exit(status if status >= 0 else 255)
`

function paramiko({ person, port, login, target }: Place): Client {
  const file = join(scratch("paramiko"), "client.py")
  writeFileSync(file, script)
  const first = (way: Way): string[] => [file, way, String(port), outer(person), login, target, person.file]
  return {
    name: "paramiko",
    signalled: "failure",
    ssh: (way) => [python, ...first(way), "run"],
    rsync: () => undefined,
    sftp: (way) => [python, ...first(way), "sftp"],
    scp: () => undefined,
  }
}
