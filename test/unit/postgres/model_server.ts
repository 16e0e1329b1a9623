// A server as PostgreSQL's documentation describes one, without data: it keeps statements, portals and the transaction, skips to Sync after
// an error, takes in COPY, and holds its answers back until it would flush them. What it did with each Query and Execute is the truth that
// a record is held against. Source: "Protocol Flow", postgres.c. Texts are a small language: SELECT, FAIL, BEGIN, COMMIT, ROLLBACK,
// PREPARE, DEALLOCATE, COPY IN, COPY OUT.
import { byteOf, message } from "../../../protocols/postgres/codec.ts"
import { complete, failed, ready } from "./dialogue.ts"

export interface Done {
  readonly what: "ran" | "failed" | "skipped"
  /** Of one that ran. */
  readonly sql?: string
  readonly values?: readonly (string | null)[]
}

interface Portal {
  readonly sql: string
  readonly values: readonly (string | null)[]
}

class Failure extends Error {}

export class ModelServer {
  /** Of each Query and Execute, in order. */
  readonly done: Done[] = []
  readonly heard: Buffer[] = []
  readonly #statements = new Map<string, string>()
  readonly #portals = new Map<string, Portal>()
  #bytes = Buffer.alloc(0)
  #waiting: Buffer[] = []
  #flushed: Buffer[] = []
  #status: "I" | "T" | "E" = "I"
  #skipping = false
  /** The COPY that is taken in: by a Query or by an Execute. */
  #copying: { readonly how: "simple" | "execute"; readonly done: Done } | undefined

  hear(bytes: Buffer): void {
    this.heard.push(bytes)
    this.#bytes = Buffer.concat([this.#bytes, bytes])
    while (this.#bytes.length >= 5 && this.#bytes.length > this.#bytes.readInt32BE(1)) {
      const end = this.#bytes.readInt32BE(1) + 1
      this.#take(String.fromCharCode(this.#bytes[0] as number), this.#bytes.subarray(5, end))
      this.#bytes = this.#bytes.subarray(end)
    }
  }

  /** What it has flushed since it was asked last. */
  says(): Buffer {
    return Buffer.concat(this.#flushed.splice(0))
  }

  #say(...messages: readonly Buffer[]): void {
    this.#waiting.push(...messages)
  }

  #flush(): void {
    this.#flushed.push(...this.#waiting.splice(0))
  }

  #take(type: string, body: Buffer): void {
    if (this.#copying) return this.#copy(type)
    if ("dcf".includes(type)) return // left over from a COPY that failed
    if (this.#skipping && type !== "S") {
      if (type === "E") this.done.push({ what: "skipped" })
      return
    }
    if (type === "S") return this.#sync()
    if (type === "H") return this.#flush()
    if (type === "Q") return this.#query(body)
    try {
      this.#extended(type, body)
    } catch (failure) {
      if (!(failure instanceof Failure)) throw failure
      this.#fails()
      this.#skipping = true
    }
  }

  #fails(): void {
    if (this.#status === "T") this.#status = "E"
    this.#say(failed("42000"))
    this.#flush()
  }

  #sync(): void {
    this.#skipping = false
    this.#ready()
  }

  #ready(): void {
    if (this.#status === "I") this.#portals.clear()
    this.#say(ready(this.#status))
    this.#flush()
  }

  #query(body: Buffer): void {
    const [sql = ""] = stringsOf(body)
    this.#statements.delete("")
    this.#portals.delete("")
    try {
      if (sql === "COPY IN") return this.#beginCopy("simple", { what: "ran", sql, values: [] })
      for (const one of sql.split("; ")) this.#run(one, sql)
      this.done.push({ what: "ran", sql, values: [] })
    } catch (failure) {
      if (!(failure instanceof Failure)) throw failure
      this.done.push({ what: "failed" })
      this.#fails()
    }
    this.#ready()
  }

  #extended(type: string, body: Buffer): void {
    const [first = "", second = ""] = stringsOf(type === "C" || type === "D" ? body.subarray(1) : body)
    const statement = body[0] === byteOf("S")
    switch (type) {
      case "P":
        if (first !== "" && this.#statements.has(first)) throw new Failure()
        if (this.#status === "E" && !/^(COMMIT|ROLLBACK)$/.test(second)) throw new Failure()
        this.#statements.set(first, second)
        return this.#say(message("1"))
      case "B":
        return this.#bind(first, second, body)
      case "D":
        if (statement ? !this.#statements.has(first) : !this.#portals.has(first)) throw new Failure()
        return this.#say(...(statement ? [message("t", Buffer.alloc(2))] : []), message("n"))
      case "C":
        if (statement) this.#statements.delete(first)
        else this.#portals.delete(first)
        return this.#say(message("3"))
      case "E":
        return this.#execute(first)
    }
  }

  #bind(portal: string, name: string, body: Buffer): void {
    const sql = this.#statements.get(name)
    if (sql === undefined || (portal !== "" && this.#portals.has(portal))) throw new Failure()
    if (this.#status === "E" && !/^(COMMIT|ROLLBACK)$/.test(sql)) throw new Failure()
    this.#portals.set(portal, { sql, values: valuesOf(body.subarray(portal.length + name.length + 2)) })
    this.#say(message("2"))
  }

  #execute(name: string): void {
    const portal = this.#portals.get(name)
    try {
      if (!portal) throw new Failure()
      if (portal.sql === "COPY IN") {
        this.#portals.delete(name) // it cannot be run again
        return this.#beginCopy("execute", { what: "ran", ...portal })
      }
      this.#run(portal.sql, portal.sql)
      this.done.push({ what: "ran", ...portal })
    } catch (failure) {
      this.done.push({ what: "failed" })
      throw failure
    }
  }

  #run(sql: string, whole: string): void {
    const [verb = "", name = ""] = sql.split(" ")
    if (this.#status === "E" && verb !== "COMMIT" && verb !== "ROLLBACK") throw new Failure()
    if (verb === "FAIL") throw new Failure()
    if (verb === "" && whole === "") return this.#say(message("I"))
    if (verb === "BEGIN") this.#status = "T"
    let tag = verb
    if (verb === "COMMIT" || verb === "ROLLBACK") {
      if (this.#status === "E") tag = "ROLLBACK"
      this.#status = "I"
      this.#portals.clear()
    }
    if (verb === "PREPARE") {
      if (this.#statements.has(name)) throw new Failure()
      this.#statements.set(name, whole)
    }
    if (verb === "DEALLOCATE") {
      if (name === "ALL") tag = "DEALLOCATE ALL"
      if (name === "ALL") this.#statements.clear()
      else if (!this.#statements.delete(name)) throw new Failure()
    }
    if (verb === "COPY") this.#say(message("H", Buffer.alloc(3)), message("d", Buffer.from("row\n")), message("c"))
    if (verb === "SELECT") this.#say(message("D", Buffer.alloc(6)))
    this.#say(complete(verb === "SELECT" ? "SELECT 1" : verb === "COPY" ? "COPY 1" : tag))
  }

  #beginCopy(how: "simple" | "execute", done: Done): void {
    if (this.#status === "E") throw new Failure()
    this.#copying = { how, done }
    this.#say(message("G", Buffer.alloc(3)))
    this.#flush()
  }

  #copy(type: string): void {
    const { how, done } = this.#copying as { how: "simple" | "execute"; done: Done }
    if (type === "d" || type === "S" || type === "H") return
    this.#copying = undefined
    if (type === "c") {
      this.done.push(done)
      this.#say(complete("COPY 1"))
    } else {
      this.done.push({ what: "failed" })
      this.#fails()
      this.#skipping = how === "execute"
    }
    if (how === "simple") this.#ready()
  }
}

function stringsOf(bytes: Buffer): string[] {
  const found: string[] = []
  for (let at = 0, end = bytes.indexOf(0); end >= 0 && found.length < 2; at = end + 1, end = bytes.indexOf(0, at))
    found.push(bytes.toString("latin1", at, end))
  return found
}

/** Of a Bind, after its names; as `bind` of the dialogue writes it: one format for each. */
function valuesOf(bytes: Buffer): (string | null)[] {
  const count = bytes.readUInt16BE(0)
  const found: (string | null)[] = []
  for (let at = 4 + 2 * count; found.length < count;) {
    const length = bytes.readInt32BE(at)
    found.push(length < 0 ? null : bytes.toString("latin1", at + 4, at + 4 + length))
    at += 4 + Math.max(0, length)
  }
  return found
}
