// What of one program's streams is put on record, by what the program is: of a terminal what it showed and that keys were typed, of SFTP
// what is done to files, of anything else the streams themselves as far as the target's config says.
import { limits } from "../../src/core/limits.ts"
import type { SshRecord } from "../../src/core/target.ts"
import type { Session } from "../../src/gateway/contract.ts"
import type { Stream } from "../../src/record/events.ts"
import type { Channel } from "./channel.ts"
import { counted, type Passing, RecordedStream } from "./recorded_stream.ts"
import { sftpBroken } from "./sftp_packet.ts"
import { SftpRelay } from "./sftp_relay.ts"
import { TypedKeys } from "./typed_keys.ts"

export interface Streams {
  readonly stdin: Passing
  readonly stdout: Passing
  readonly stderr: Passing
}

export interface Recording {
  readonly session: Session
  /** The client's side. */
  readonly channel: Channel
  readonly record: SshRecord
}

export function sftpRelay({ session, channel, record }: Recording, access: "all" | "read"): SftpRelay {
  return new SftpRelay({
    session,
    channel: channel.id,
    access,
    digests: record.digests,
    answer: (packet) => {
      if (channel.writableLength > limits.ssh_unsent_bytes_max) throw sftpBroken("too many answers were not read")
      channel.write(packet)
    },
    keep: (unread) => {
      channel.pause()
      channel.unshift(unread)
    },
    readOn: () => void setImmediate(() => channel.resume()),
    say: (words) => void channel.stderr.write(`${words}\n`),
  })
}

export function programStreams({ session, channel, record }: Recording, kind: SftpRelay | "terminal" | "command"): Streams {
  const { recorder } = session
  const recorded = (stream: Stream): RecordedStream => {
    const keep = kind === "terminal" ? "all" : record[stream]
    return new RecordedStream({ recorder, channel: channel.id, stream, keep, digest: record.digests })
  }
  const [stdout, stderr] = [recorded("stdout"), recorded("stderr")]
  if (kind === "command") return { stdin: recorded("stdin"), stdout, stderr }
  if (kind !== "terminal") return { stdin: counted(kind.fromClient), stdout: counted(kind.fromTarget), stderr }
  const keys = new TypedKeys(recorder, channel.id)
  return { stdin: counted(keys.pass), stdout: keys.watch(stdout), stderr: keys.watch(stderr) }
}
