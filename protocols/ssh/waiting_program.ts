// A program that waits until somebody approves it: said on stderr, so that nothing is in the way of what reads the output.
import type { Waiting } from "../../src/gateway/contract.ts"
import type { Channel } from "./channel.ts"

export function tellWaiting(waiting: Waiting, channel: Channel, terminal: boolean): void {
  void waiting.asked.then((asked) => {
    if (asked) channel.stderr.write(terminal ? `\r\n${asked.say}\r\n` : `${asked.say}\n`)
  })
}
