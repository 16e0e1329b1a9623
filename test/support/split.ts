// Sluice as two processes, the approval service and a gateway, each with a folder of its own: as on two machines.
import { freePort } from "./port.ts"
import { scratch } from "./scratch.ts"
import { type Sluice, type SluiceOptions, spawnSluice } from "./sluice.ts"

export interface Split {
  readonly gateway: Sluice
  readonly approvals: Sluice
  /** The service, started again where it was, on what it kept. */
  restartApprovals(): Promise<Sluice>
  /** The gateway, started again where it was, at other ports. */
  restartGateway(): Promise<Sluice>
}

export async function spawnSplit(options: Omit<SluiceOptions, "folder" | "role">): Promise<Split> {
  const port = await freePort()
  const service: SluiceOptions = {
    ...options,
    role: "approvals",
    folder: scratch("approvals"),
    approvals: { listen: `127.0.0.1:${port}` },
    through: [],
  }
  const approvals = await spawnSluice(service)
  const door: SluiceOptions = {
    ...options,
    role: "gateway",
    folder: scratch("gateway"),
    approvals: { url: `http://127.0.0.1:${port}` },
  }
  const gateway = await spawnSluice(door)
  return { gateway, approvals, restartApprovals: () => spawnSluice(service), restartGateway: () => spawnSluice(door) }
}
