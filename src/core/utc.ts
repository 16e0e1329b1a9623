// A moment as people read it where there is room for the whole: in UTC, and saying so.
import type { Millis } from "./clock.ts"

/** "2026-01-15 14:30:00 UTC" */
export const utc = (at: Millis): string => `${new Date(at).toISOString().slice(0, 19).replace("T", " ")} UTC`
