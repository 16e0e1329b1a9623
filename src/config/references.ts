// Values that stand elsewhere: `env:NAME`, `file:path` (beside the config file), `exec:command`. What they say never gets into a
// message: messages name the reference.
import { spawn } from "node:child_process"
import { open } from "node:fs/promises"
import { resolve } from "node:path"
import { limits } from "../core/limits.ts"

const forms = /^(env|file|exec):/

export const isReference = (text: string): boolean => forms.test(text)

/** The value behind `reference`, one trailing newline cut. Throws with words for the operator. */
export async function follow(reference: string, folder: string): Promise<string> {
  const rest = reference.replace(forms, "")
  if (rest === "") throw new Error(`${reference} names nothing`)
  const value = await read(reference, rest, folder)
  const cut = value.replace(/\r?\n$/, "")
  if (cut === "") throw new Error(`${reference} is empty`)
  return cut
}

function read(reference: string, rest: string, folder: string): Promise<string> | string {
  if (reference.startsWith("file:")) return readBounded(resolve(folder, rest), limits.config_value_bytes_max)
  if (reference.startsWith("exec:")) return runCommand(rest, folder)
  const value = process.env[rest]
  if (value === undefined) throw new Error(`the environment has no ${rest}`)
  return value
}

/** A file as text, up to `bytes_max`. Throws with words for the operator. */
export async function readBounded(path: string, bytes_max: number): Promise<string> {
  try {
    await using file = await open(path, "r")
    const buffer = Buffer.alloc(bytes_max + 1)
    let filled = 0
    for (;;) {
      const { bytesRead } = await file.read(buffer, filled, buffer.length - filled)
      filled += bytesRead
      if (bytesRead === 0 || filled === buffer.length) break
    }
    if (filled > bytes_max) throw new Error(`more than ${bytes_max} bytes`)
    return buffer.toString("utf8", 0, filled)
  } catch (failure) {
    throw new Error(`${path} cannot be read: ${words(failure)}`, { cause: failure })
  }
}

/**
 * Runs a program, not a shell: words are split at spaces, quotes keep them together; `exec:sh -c "a | b"` is there for the rest.
 * Its standard error goes to ours, so that the operator sees why it failed and no message of ours repeats it.
 */
function runCommand(line: string, folder: string): Promise<string> {
  const [program = "", ...rest] = splitWords(line)
  const name = `exec:${program}`
  return new Promise((settle, reject) => {
    const fail = (why: string): void => {
      child.kill("SIGKILL")
      child.stdout.destroy() // what it started in turn may still hold the other end
      reject(new Error(`${name} ${why}`))
    }
    const child = spawn(program, rest, { cwd: folder, stdio: ["ignore", "pipe", "inherit"] })
    const timer = setTimeout(() => fail(`did not end within ${limits.config_command_ms_max / 1000} s`), limits.config_command_ms_max)
    const chunks: Buffer[] = []
    let bytes = 0
    child.stdout.on("data", (chunk: Buffer) => {
      chunks.push(chunk)
      bytes += chunk.length
      if (bytes > limits.config_value_bytes_max) fail(`printed more than ${limits.config_value_bytes_max} bytes`)
    })
    child.on("error", (failure) => {
      clearTimeout(timer)
      reject(new Error(`${name} cannot be run: ${words(failure)}`))
    })
    child.on("close", (status, signal) => {
      clearTimeout(timer)
      if (status === 0) settle(Buffer.concat(chunks).toString("utf8"))
      else fail(signal ? `was ended by ${signal}` : `failed with exit status ${status}`)
    })
  })
}

/** `pass show "my db"` is three words. */
export function splitWords(line: string): string[] {
  return Array.from(line.matchAll(/(?:[^\s"']|"[^"]*"|'[^']*')+/g), ([word]) => word.replace(/"([^"]*)"|'([^']*)'/g, "$1$2"))
}

const reasons: Readonly<Record<string, string>> = {
  ENOENT: "there is no such file",
  EACCES: "permission denied",
  EISDIR: "it is a folder",
}

function words(failure: unknown): string {
  const { code, message } = failure as NodeJS.ErrnoException
  return reasons[code ?? ""] ?? message
}
