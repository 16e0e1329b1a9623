// A program that waits until somebody approves it: said on stderr, so that nothing is in the way of what reads the output. At a
// terminal the key that interrupts takes it back: no program is there yet that would be interrupted.
import type { Waiting } from "../../src/gateway/contract.ts"
import type { Channel } from "./channel.ts"

export function tellWaiting(waiting: Waiting, channel: Channel, terminal: boolean): void {
  void waiting.asked.then((asked) => {
    if (asked) channel.stderr.write(terminal ? `\r\n${asked.say}\r\n` : `${asked.say}\n`)
  })
}

/** All that one channel waits for. */
export class ChannelHolds {
  readonly #waiting = new Set<Waiting>()
  #over = false

  add(waiting: Waiting): void {
    if (this.#over) return waiting.withdraw()
    this.#waiting.add(waiting)
    void waiting.decided.then(() => this.#waiting.delete(waiting))
  }

  /** Nobody is there any more who would use an approval. */
  end(): void {
    this.#over = true
    for (const waiting of this.#waiting) waiting.withdraw()
  }
}

/** Sees what is typed while `waiting` is not decided, and leaves it for the program. Call the answer once it is. */
export function watchForInterrupt(waiting: Waiting, channel: Channel, modes: Buffer): () => void {
  const key = interruptKey(modes)
  channel.onReceived = (data) => {
    if (key !== undefined && data.includes(key)) waiting.withdraw()
  }
  return () => (channel.onReceived = undefined)
}

const usual_interrupt = 3 // Ctrl-C
const no_key = 255

/** VINTR among the encoded terminal modes (RFC 4254, section 8): each an opcode and, below 160, a number. */
export function interruptKey(modes: Buffer): number | undefined {
  for (let at = 0; at + 5 <= modes.length; at += 5) {
    const opcode = modes[at] ?? 0
    if (opcode === 0 || opcode >= 160) break
    if (opcode !== 1) continue
    const key = modes.readUInt32BE(at + 1)
    return key >= no_key ? undefined : key
  }
  return usual_interrupt
}
