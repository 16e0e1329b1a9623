// The one folder where Sluice keeps what it makes: its keys, the embedded store, recordings. This file owns the folder's place
// and mode and the keys in it; what else lies there belongs to those who ask for a `path`.
import assert from "node:assert/strict"
import { createPrivateKey, generateKeyPairSync, randomBytes } from "node:crypto"
import { link, mkdir, open, readFile, rm, stat } from "node:fs/promises"
import { isAbsolute, join, relative, resolve } from "node:path"
import ssh2 from "ssh2"
import type { KeyKind, Keys } from "../core/keys.ts"
import { Secret } from "../core/secret.ts"
import { generateOpensshKey } from "./openssh_key.ts"

export interface State {
  /** Absolute. */
  readonly folder: string
  /** A path inside the folder; nothing is made. */
  path(...names: string[]): string
  readonly keys: Keys
  /** 32 random bytes in base64url under `name`, made on first use and kept. */
  secret(name: string): Promise<Secret>
}

const secret_bytes = 32
const others = 0o077
const others_may_write = 0o022

/** Opens the state folder, made with mode 0700 when it is not there. Throws with words for the operator. */
export async function openState(folder: string): Promise<State> {
  const root = resolve(folder)
  const keyFolder = join(root, "keys")
  await mkdir(keyFolder, { recursive: true, mode: 0o700 })
  for (const path of [root, keyFolder]) {
    const { mode } = await stat(path)
    if (mode & others_may_write) throw new Error(`${path}: others may write here, and could exchange the keys: chmod 700 ${path}`)
  }
  // One promise a name: two calls at once make one file. The names are few, and in the code.
  const kept = new Map<string, Promise<Secret>>()
  const keep = (file: string, make: () => Secret, check: (secret: Secret) => boolean): Promise<Secret> => {
    assert(/^[a-z0-9][a-z0-9_-]{0,63}\.(key|secret)$/.test(file), "a key's name is lower case letters, digits, - and _")
    const path = join(keyFolder, file)
    const found = kept.get(file) ?? readOrMake(path, make)
    kept.set(file, found)
    found.catch(() => kept.delete(file))
    return found.then((secret) => {
      if (!check(secret)) throw new Error(`${path}: not the kind of key that is expected here; move it away and a new one is made`)
      return secret
    })
  }
  return {
    folder: root,
    path(...names) {
      const path = join(root, ...names)
      const inside = relative(root, path)
      assert(!inside.startsWith("..") && !isAbsolute(inside), "a path of the state folder stays inside it")
      return path
    },
    keys: {
      private: (name, kind) =>
        keep(
          `${name}.key`,
          () => newKey(name, kind),
          (secret) => isKey(secret, kind),
        ),
    },
    secret: (name) =>
      keep(
        `${name}.secret`,
        () => new Secret(randomBytes(secret_bytes).toString("base64url")),
        (secret) => Buffer.from(secret.reveal(), "base64url").length === secret_bytes,
      ),
  }
}

async function readOrMake(path: string, make: () => Secret): Promise<Secret> {
  try {
    return await read(path)
  } catch (failure) {
    if ((failure as NodeJS.ErrnoException).code !== "ENOENT") throw failure
  }
  await write(path, make())
  return read(path)
}

async function read(path: string): Promise<Secret> {
  const { mode } = await stat(path)
  if (mode & others) throw new Error(`${path}: others may read this key (mode ${(mode & 0o777).toString(8)}): chmod 600 ${path}`)
  return new Secret(await readFile(path, "utf8"))
}

/** Whole or not at all, and never over a file that is there: of two processes that start at once, both use the first one's key. */
async function write(path: string, secret: Secret): Promise<void> {
  const draft = `${path}.${randomBytes(8).toString("hex")}`
  try {
    const file = await open(draft, "wx", 0o600)
    try {
      await file.writeFile(secret.reveal())
      await file.sync()
    } finally {
      await file.close()
    }
    await link(draft, path).catch((failure: NodeJS.ErrnoException) => {
      if (failure.code !== "EEXIST") throw failure
    })
  } finally {
    await rm(draft, { force: true })
  }
}

function newKey(name: string, kind: KeyKind): Secret {
  switch (kind) {
    case "ssh-ed25519":
      return generateOpensshKey(`sluice ${name}`).private
    case "p256":
      return new Secret(generateKeyPairSync("ec", { namedCurve: "P-256" }).privateKey.export({ type: "pkcs8", format: "pem" }).toString())
  }
}

function isKey(secret: Secret, kind: KeyKind): boolean {
  try {
    switch (kind) {
      case "ssh-ed25519": {
        const parsed = ssh2.utils.parseKey(secret.reveal())
        return !(parsed instanceof Error) && parsed.type === "ssh-ed25519" && parsed.isPrivateKey()
      }
      case "p256":
        return createPrivateKey(secret.reveal()).asymmetricKeyDetails?.namedCurve === "prime256v1"
    }
  } catch {
    return false
  }
}
