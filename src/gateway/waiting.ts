// What waits for a decision, and how those outside reach it: they are told who was asked, and may take it back.
import type { Asked, Decided, Waiting } from "./contract.ts"

export class Wait {
  readonly #asked = Promise.withResolvers<Asked | undefined>()
  #stop: ((how: "withdrawn" | "left") => void) | undefined
  #stopped: "withdrawn" | "left" | undefined

  /** How it was stopped, if it was. */
  get stopped(): "withdrawn" | "left" | undefined {
    return this.#stopped
  }

  /** Somebody is asked; nobody will be, when there is nothing to say. */
  tell(asked: Asked | undefined): void {
    this.#asked.resolve(asked)
  }

  /** Called when it is stopped, at once if it was already; a second one takes the place of the first. */
  onStop(stop: (how: "withdrawn" | "left") => void): void {
    this.#stop = stop
    if (this.#stopped) stop(this.#stopped)
  }

  decision(decided: Promise<Decided>): Waiting {
    return {
      verdict: "hold",
      decided,
      asked: this.#asked.promise,
      withdraw: () => this.#end("withdrawn"),
      leave: () => this.#end("left"),
    }
  }

  #end(how: "withdrawn" | "left"): void {
    if (this.#stopped) return
    this.#stopped = how
    this.#stop?.(how)
  }
}
