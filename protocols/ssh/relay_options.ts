// What the relay of one session channel is given.
import type { Clock } from "../../src/core/clock.ts"
import type { SshAllowed, SshRecord, SshTarget } from "../../src/core/target.ts"
import type { Session } from "../../src/gateway/contract.ts"
import type { Channel } from "./channel.ts"
import type { Connection } from "./connection.ts"
import type { Forwards } from "./forwards.ts"
import type { TerminalWords } from "./terminal_words.ts"

export interface RelayOptions {
  readonly channel: Channel
  readonly session: Session
  /** Rejects once the session is over. */
  upstream(): Promise<Connection>
  /** What of the programs' streams and files is kept. */
  readonly record: SshRecord
  /** What of the target's files may be done by SFTP. */
  readonly sftp: SshTarget["sftp"]
  readonly allow: Pick<SshAllowed, "shell" | "exec" | "env">
  /** Those of the whole connection. */
  readonly forwards: Forwards
  readonly words: TerminalWords
  readonly clock: Clock
}
