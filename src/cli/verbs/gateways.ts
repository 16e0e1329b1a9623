// `sluice gateways`: which gateways there are, which version they run, and whether they are heard. For administrators and auditors.
import type { GatewayView } from "../../api/schema.ts"
import { visible } from "../../core/visible.ts"
import { jsonOption, show, type AddVerb, type JsonOption } from "../context.ts"
import { table } from "../table.ts"
import { distance } from "../words.ts"

const heads = ["GATEWAY", "STATE", "SESSIONS", "VERSION", "SERVICE", "PORTS"]

export const addGateways: AddVerb = (program, context) => {
  program
    .command("gateways")
    .description("the gateways there are, and whether they are heard (administrators, auditors)")
    .option(...jsonOption)
    .action(async (options: JsonOption) => {
      const answer = await (await context.api()).call("gateways", {}, { signal: context.io.signal })
      const now = context.now()
      const rows = answer.gateways.map((gateway) => [
        visible(gateway.name),
        stateOf(gateway, now),
        String(gateway.sessions),
        `${visible(gateway.version)}${gateway.other_version ? ` (the service: ${visible(answer.version)})` : ""}`,
        visible(gateway.service),
        visible(
          Object.entries(gateway.listening)
            .map(([protocol, address]) => `${protocol} ${address.replace(/^.*:/, "")}`) // where exactly: --json
            .join(", "),
        ),
      ])
      show(context, options, answer, () => table(heads, rows, { columns: context.io.columns, nothing: "No gateway was heard." }))
    })
}

function stateOf({ status, seen_at }: GatewayView, now: number): string {
  return status === "live" ? "live" : `${status}, heard ${distance(seen_at, now)}`
}
