// The short name of an SSH public key, as `ssh-keygen -l` prints it.
import { createHash } from "node:crypto"

/** `blob`: the key in wire form. "SHA256:…" */
export const fingerprint = (blob: Buffer): string => `SHA256:${createHash("sha256").update(blob).digest("base64").replace(/=+$/, "")}`
