// The person's own ssh, which proves who they are: nothing but their key and their ssh configuration is needed. Owns where the
// gateway is found and how ssh is run; not what comes back.
import { spawn } from "node:child_process"
import { limits } from "../core/limits.ts"
import { Failure } from "./failure.ts"
import { own_config_path, readOwnConfig } from "./own_config.ts"

/** Words for ssh that lead to the gateway: a Host alias, a name, or options and a name ("-p 2222 gw.example.com"). */
export type Gateway = readonly string[]

/** From --gateway, SLUICE_GATEWAY, or `gateway:` in ~/.config/sluice/config, in this order. */
export async function findGateway(option: string | undefined): Promise<Gateway> {
  const given = option || process.env["SLUICE_GATEWAY"] || (await readOwnConfig()).gateway
  if (!given) {
    const advice =
      "Say what `ssh` should connect to: --gateway gw.example.com, SLUICE_GATEWAY=gw.example.com, or a line\n  gateway: gw.example.com\n" +
      `in ${own_config_path()}. Without ssh: --service https://gw.example.com:8443, SLUICE_SERVICE or \`service:\`, and \`sluice login\`.`
    throw new Failure("there is no gateway to ask", advice, { status: 2 })
  }
  return given.trim().split(/\s+/)
}

/** `ssh gateway <words>`: its standard output. Its prompts and its errors are the person's to see. */
export async function askGateway(gateway: Gateway, words: readonly string[], signal: AbortSignal): Promise<string> {
  const child = spawn("ssh", [...gateway, words.map(quoted).join(" ")], { stdio: ["ignore", "pipe", "inherit"], signal })
  const chunks: Buffer[] = []
  let bytes = 0
  child.stdout.on("data", (chunk: Buffer) => {
    bytes += chunk.length
    if (bytes > limits.control_body_bytes_max) child.kill()
    else chunks.push(chunk)
  })
  const status = await new Promise<number | null>((resolve, reject) => {
    child.once("error", (failure: NodeJS.ErrnoException) =>
      reject(failure.code === "ENOENT" ? new Failure("there is no `ssh` here", "Install the OpenSSH client.") : failure),
    )
    child.once("close", resolve)
  })
  if (status === 0) return Buffer.concat(chunks).toString("utf8")
  // 255 is ssh's own failure (ssh(1), EXIT STATUS); any other is the verb's, which has said why.
  const line = ["ssh", ...gateway].join(" ")
  if (status === 255 || status === null)
    throw new Failure(`\`${line}\` did not get through`, `Try \`${line}\` by itself; once that works, so does this.`)
  throw new Failure("the gateway refused", "", { status: status === 2 ? 2 : 1 })
}

/** For the gateway, which parts words as a shell does. */
const quoted = (word: string): string => (/^[\w./:=@-]+$/.test(word) ? word : `'${word.replaceAll("'", `'\\''`)}'`)
