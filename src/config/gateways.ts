// The list `approvals.gateways`: which gateways there are, and by which key each is known.
import { isIP } from "node:net"
import { isHostname } from "./address.ts"
import type { NamedGateway } from "./config.ts"
import { parsePublicKey } from "./openssh_key.ts"
import type { Reading } from "./reading.ts"
import type { ApprovalsFile } from "./schema.ts"
import type { Path } from "./source.ts"

const key_type = "ssh-ed25519"

/** Undefined: the file has no list. `own`: the name of the gateway that this file is of. */
export function readGateways(reading: Reading, file: ApprovalsFile, own: string | undefined): readonly NamedGateway[] | undefined {
  const { gateways } = file
  if (gateways === undefined) return undefined
  const names = new Set<string>()
  const keys = new Set<string>()
  return gateways.map((one, index) => {
    const path: Path = ["approvals", "gateways", index]
    const name = one.name.toLowerCase()
    const problem = (key: string, words: string): void => reading.problem([...path, key], words)
    if (!isHostname(name) && isIP(name) === 0) problem("name", "expected the `gateway.name` of a gateway, such as gw.example.com")
    if (names.has(name)) problem("name", "this name is listed twice")
    names.add(name)
    if (one.public_key === undefined) {
      if (file.gateway_key === undefined && name !== own)
        problem("name", "how is it known? Give it its public_key (`sluice gateway-key` prints it), or set approvals.gateway_key for all")
      return { name, key: undefined }
    }
    try {
      const key = parsePublicKey(one.public_key)
      if (key.type !== key_type) throw new Error(`a gateway's key is an ${key_type} key: \`sluice gateway-key\` prints it`)
      const blob = key.blob.toString("base64")
      if (keys.has(blob)) problem("public_key", "this key is listed twice: each gateway has its own")
      keys.add(blob)
      return { name, key }
    } catch (failure) {
      problem("public_key", (failure as Error).message)
      return { name, key: undefined }
    }
  })
}
