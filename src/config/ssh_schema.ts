// An SSH target as it is written: its address, how the gateway logs in, what may be done there, and what is kept of it.
import { z } from "zod"
import { usual_env } from "../core/target.ts"

const text = z.string().min(1)
const several = z.union([text, z.array(text).min(1)])
const reference = text.describe("env:NAME, file:path or exec:command; a secret cannot be written here itself")
const address = text.describe("host:port")

/** Bytes: a number, or a text such as 16MiB. */
export const size = z.union([z.int().min(0), text])
const record = z
  .strictObject({
    stdin: size.optional().describe("Of each command's input: 1MiB, or 0 for none; recordings.stream_bytes_max unless told"),
    stdout: size.optional().describe("As stdin"),
    stderr: size.optional().describe("As stdin"),
    digests: z
      .boolean()
      .default(true)
      .describe("The SHA-256 of a stream that is longer, and of each file that SFTP transfers; without it the size alone"),
  })
  .describe("What of commands without a terminal is kept byte for byte")

export const sshTarget = z.strictObject({
  address,
  logins: z.array(text).min(1).describe("The accounts that may be asked for"),
  auth: z
    .union([z.literal("certificate"), z.strictObject({ key: reference.optional(), password: reference.optional() })])
    .describe(
      "How the gateway logs in: a key, a password, or certificate: one of minutes for each login, by the CA of `sluice ca targets`",
    ),
  sftp: z
    .enum(["all", "read", "off"])
    .default("all")
    .describe("What may be done by SFTP, and so by scp; a shell or command is not held to it"),
  allow: z
    .strictObject({
      shell: z.boolean().default(true).describe("A shell at a terminal"),
      exec: z.boolean().default(true).describe("Commands, and with them scp -O, rsync and git"),
      local_forward: several
        .optional()
        .describe("ssh -L, -D, -W: where the target may connect to, such as 10.0.0.9:6379, *.internal:443, 10.0.0.0/8:* or /run/app.sock"),
      remote_forward: several.optional().describe("ssh -R: where the target may listen, such as localhost:8000-8999; * is any address"),
      agent: z.boolean().default(false).describe("ssh -A: programs there may use one's SSH agent"),
      env: z
        .array(text)
        .default([...usual_env])
        .describe("ssh's SendEnv and SetEnv: the variables that may be set there; never those by which code is loaded, such as LD_PRELOAD"),
    })
    .prefault({})
    .describe("What may be done there; forwards only when they are named"),
  record: record.prefault({}),
  host_key: several.optional().describe("The host's public key or keys, pinned: ssh-keyscan -t ed25519 <host>"),
  host_ca: several.optional().describe("The public key of a CA whose certificate the host has for its address"),
})
