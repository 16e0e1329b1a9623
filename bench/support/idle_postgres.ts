// Starts the light PostgreSQL server as a child, so that its work does not delay what is measured here.
import { join } from "node:path"
import { launch } from "../../test/support/run.ts"
import type { Comparator } from "./comparator.ts"

export async function startIdlePostgres(): Promise<Comparator> {
  const running = launch(process.execPath, [join(import.meta.dirname, "fake_postgres.ts")], { background: true })
  const [, port] = await running.says(/^listening (\d+)$/m)
  return { port: Number(port), stop: async () => void (await running.stop()) }
}
