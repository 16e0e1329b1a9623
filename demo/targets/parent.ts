// A demo target's side of its parent: what it is told, how it says that it can be used, and that it ends when the parent is gone.

export const settings = JSON.parse(process.argv[2] ?? "{}") as Readonly<Record<string, unknown>>

/** Starts the target and tells the parent; `stop` runs when the parent has gone or asks for it, then the process ends. */
export async function serve(start: () => Promise<() => Promise<void> | void>): Promise<void> {
  let stop: (() => Promise<void> | void) | undefined
  let over = false
  const end = (): void => {
    if (over) return
    over = true
    void Promise.resolve(stop?.()).finally(() => process.exit())
  }
  process.on("disconnect", () => {
    if (stop) end()
    else over = true // still starting: it ends as soon as there is something to stop
  })
  process.on("SIGTERM", end)
  try {
    stop = await start()
  } catch (failure) {
    console.error(failure)
    if (process.connected) process.send?.({ failed: (failure as Error).message })
    process.exit(1)
  }
  if (over) {
    over = false
    return end()
  }
  process.send?.({ ready: true })
}
