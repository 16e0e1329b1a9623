// The ports of the demo: fixed ones for what people type, so that a copied line works tomorrow too; remembered ones for its targets.
import { once } from "node:events"
import { writeFileSync } from "node:fs"
import { createServer, type AddressInfo } from "node:net"
import { kept, type Folder } from "./folder.ts"

export interface Ports {
  readonly ssh: number
  readonly postgres: number
  readonly http: number
  readonly approvals: number
}

export const loopback = "127.0.0.1"

/** 2222, 6432, 8443, 7070; or four in a row from SLUICE_DEMO_PORT_BASE. Throws, naming the one that is in use. */
export async function choosePorts(): Promise<Ports> {
  const text = process.env["SLUICE_DEMO_PORT_BASE"]
  const base = Number(text)
  if (text !== undefined && !(Number.isInteger(base) && base > 0 && base <= 65_532))
    throw new Error(`SLUICE_DEMO_PORT_BASE=${text}: not a port number`)
  const ports =
    text === undefined
      ? { ssh: 2222, postgres: 6432, http: 8443, approvals: 7070 }
      : { ssh: base, postgres: base + 1, http: base + 2, approvals: base + 3 }
  for (const [name, port] of Object.entries(ports)) {
    if (!(await isFree(port)))
      throw new Error(
        `port ${port} (${name}) is in use: is another demo running? End what uses it, or move this one: SLUICE_DEMO_PORT_BASE=20000 npm start`,
      )
  }
  return ports
}

/** The port that `name` had the last time, or a free one that it has from now on. */
export async function rememberedPort(folder: Folder, name: string): Promise<number> {
  const file = folder.path("ports", name)
  const port = Number(kept(file, () => "0"))
  if (port > 0 && (await isFree(port))) return port
  const free = await freePort()
  writeFileSync(file, String(free))
  return free
}

async function isFree(port: number): Promise<boolean> {
  const server = createServer()
  try {
    server.listen(port, loopback)
    await once(server, "listening")
    return true
  } catch {
    return false
  } finally {
    server.close()
  }
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, loopback)
  await once(server, "listening")
  const { port } = server.address() as AddressInfo
  server.close()
  return port
}
