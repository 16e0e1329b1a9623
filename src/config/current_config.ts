// The config as it is now. Whoever needs it asks when they need it and keeps what they got for as long as one answer takes, because a
// reload puts another whole one in its place. It owns the place, not when a config is good enough to be put there.
import type { Config } from "./config.ts"

/** Asked once for each thing that is done: two answers may be of two configs. */
export type CurrentConfig = () => Config

/** What `make` makes of the config, made anew when the config is another. */
export function derived<T>(current: CurrentConfig, make: (config: Config) => T): () => T {
  let last: { readonly of: Config; readonly value: T } | undefined
  return () => {
    const config = current()
    if (last?.of !== config) last = { of: config, value: make(config) }
    return last.value
  }
}
