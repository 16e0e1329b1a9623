// A target's `ask`: whether and how somebody without access asks from within the tool they are in.
import { z } from "zod"

export const ask_from_tool = z
  .union([
    z.literal("off"),
    z.strictObject({
      wait: z.string().min(1).default("10m").describe("How long a tool waits for a decision"),
      unasked: z
        .boolean()
        .default(false)
        .describe(
          "PostgreSQL: a client that says no reason asks and waits as well, where no reason is wanted; it is refused at once unless told",
        ),
    }),
  ])
  .describe("Somebody without access asks from within ssh or psql and waits there; off: they read the line that asks")
