// What does it cost that Sluice ends the inner connection of `ssh -J` and records it? Against `ssh -J` through a plain sshd to the
// same real sshd: 300 MB each way through an exec, and the time to a first command.
import { spawn } from "node:child_process"
import { randomFillSync } from "node:crypto"
import { closeSync, createReadStream, openSync, writeFileSync, writeSync } from "node:fs"
import { join } from "node:path"
import { pipeline } from "node:stream/promises"
import { keyPair } from "../test/support/people.ts"
import { must, run } from "../test/support/run.ts"
import { scratch } from "../test/support/scratch.ts"
import { sshTarget } from "../test/support/sluice_config.ts"
import { type Sshd, startSshd } from "../test/support/sshd.ts"
import { mustHave } from "../test/support/tools.ts"
import { startGateway } from "./support/gateway.ts"
import { inTurns } from "./support/rounds.ts"
import type { Settings } from "./support/settings.ts"
import { printMeasured } from "./support/table.ts"

const bulk_mb = 300
const connects_per_turn = 10

export async function measure(settings: Settings): Promise<void> {
  const ssh = mustHave("ssh")
  const folder = scratch("bench-ssh")
  const user = keyPair("user")
  const [target, jump] = await Promise.all([startSshd({ authorized: [user.publicKey] }), startSshd({ authorized: [user.publicKey] })])
  const { sluice, alice, bob } = await startGateway([sshTarget("prod-host", target)], settings)
  await sluice.grant(alice, "prod-host", { by: bob, for: "2h" })
  // OpenSSH prefers ChaCha20-Poly1305 where it may; Sluice asks for AES-GCM. The plain way is measured with both.
  const plain = (ciphers: string): string[] => {
    const config = plainConfig(folder, { jump, target, key: user.file, ciphers })
    return ["-F", config, "-J", "jump", `${target.login}@prod-host`]
  }
  const ways = new Map([
    ["ssh -J", plain("^chacha20-poly1305@openssh.com")],
    ["ssh -J, AES-GCM", plain("aes128-gcm@openssh.com")],
    ["sluice", [...sluice.ssh(alice), "-J", "gateway", `${target.login}@prod-host`]],
  ])
  const file = randomFile(folder)
  const bases = ["ssh -J", "ssh -J, AES-GCM"]
  try {
    for (const [name, words] of ways) console.log(`${name}: ${await ciphersOf(ssh, words)}`)
    const upload = (words: readonly string[]) => mbPerSecond(() => feed(ssh, [...words, "cat >/dev/null"], file))
    const download = (words: readonly string[]) => mbPerSecond(() => drain(ssh, [...words, `cat ${file}`]))
    const connects = async (words: readonly string[]): Promise<number> => {
      const start = performance.now()
      for (let count = 0; count < connects_per_turn; count++) await must(ssh, [...words, "true"])
      return (performance.now() - start) / connects_per_turn
    }
    const contenders = (turn: (words: readonly string[]) => Promise<number>) =>
      inTurns(settings.rounds, new Map([...ways].map(([name, words]) => [name, () => turn(words)])))
    const about = `${settings.rounds} rounds`
    printMeasured(await contenders(upload), { title: `SSH: ${bulk_mb} MB up, ${about}`, unit: "MB/s", bases })
    printMeasured(await contenders(download), { title: `SSH: ${bulk_mb} MB down, ${about}`, unit: "MB/s", bases })
    const title = `SSH: one command, connected anew each time, ${connects_per_turn} a round, ${about}`
    printMeasured(await contenders(connects), { title, unit: "ms", bases })
  } finally {
    await sluice.stop()
    await Promise.all([target.stop(), jump.stop()])
  }
}

interface Plain {
  readonly jump: Sshd
  readonly target: Sshd
  /** The user's private key file. */
  readonly key: string
  readonly ciphers: string
}

function plainConfig(folder: string, { jump, target, key, ciphers }: Plain): string {
  const file = join(folder, `ssh_config.${ciphers.replaceAll(/\W/g, "_")}`)
  const lines = `
Host jump
  HostName 127.0.0.1
  Port ${jump.address.port}
  User ${jump.login}
Host prod-host
  HostName 127.0.0.1
  Port ${target.address.port}
Host *
  IdentityFile ${key}
  IdentitiesOnly yes
  IdentityAgent none
  LogLevel ERROR
  Ciphers ${ciphers}
  StrictHostKeyChecking accept-new
  UserKnownHostsFile ${folder}/known_hosts
  GlobalKnownHostsFile /dev/null
`
  writeFileSync(file, lines)
  return file
}

/** Random bytes: they do not compress, and no recording can make them shorter. */
function randomFile(folder: string): string {
  const path = join(folder, "random")
  const chunk = randomFillSync(Buffer.alloc(1_000_000))
  const descriptor = openSync(path, "w")
  for (let count = 0; count < bulk_mb; count++) writeSync(descriptor, chunk)
  closeSync(descriptor)
  return path
}

/** What the client negotiated on the way, outer connection first. */
async function ciphersOf(ssh: string, words: readonly string[]): Promise<string> {
  const { stderr } = await run(ssh, ["-v", ...words, "true"])
  const found = [...stderr.matchAll(/kex: server->client cipher: (\S+)/g)].map(([, cipher]) => cipher)
  return `ciphers ${found.join(", ") || "not said"}`
}

async function mbPerSecond(task: () => Promise<void>): Promise<number> {
  const start = performance.now()
  await task()
  return (bulk_mb * 1000) / (performance.now() - start)
}

async function feed(program: string, args: readonly string[], file: string): Promise<void> {
  const child = spawn(program, args, { stdio: ["pipe", "ignore", "inherit"] })
  const ended = exit(child)
  await pipeline(createReadStream(file, { highWaterMark: 1 << 20 }), child.stdin)
  await ended
}

async function drain(program: string, args: readonly string[]): Promise<void> {
  const child = spawn(program, args, { stdio: ["ignore", "pipe", "inherit"] })
  let bytes = 0
  child.stdout.on("data", (chunk: Buffer) => void (bytes += chunk.length))
  await exit(child)
  if (bytes !== bulk_mb * 1_000_000) throw new Error(`${bytes} bytes arrived`)
}

function exit(child: ReturnType<typeof spawn>): Promise<void> {
  return new Promise((resolve, reject) => {
    child.once("error", reject)
    child.once("close", (status) => (status === 0 ? resolve() : reject(new Error(`ssh ended with ${status}`))))
  })
}
