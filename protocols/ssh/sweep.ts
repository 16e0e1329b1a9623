// Ending what a target's sshd will not signal for us: OpenSSH refuses signal requests for root's logins, where it keeps no
// privilege separation, and before 7.9 for everybody's. A second command on the same connection is a child of the same sshd
// process, so its siblings are the programs that run on our channels, and nothing else.
//
// That holds for servers with a process for each connection, so the script looks before it kills: its parent must be such a
// server's process, and not process 1, which is whose child it becomes when the connection has gone. Anywhere else it does
// nothing. What a program has detached into a session of its own (setsid, a daemon) is not followed.
import type { Recorder } from "../../src/record/recorder.ts"
import { pack } from "./codec.ts"
import type { Connection } from "./connection.ts"

// `exec sh` and one line, because the login's own shell may be another kind. Every program is the leader of its own process group.
const script = [
  `[ $PPID -gt 1 ] || exit 0`,
  `case $(cat /proc/$PPID/comm || ps -o comm= -p $PPID) in sshd|sshd-session|*/sshd|*/sshd-session|dropbear) ;; *) exit 0;; esac`,
  `all=$(pgrep -P $PPID || cat /proc/$PPID/task/*/children)`,
  `for signal in HUP TERM KILL; do for each in $all; do [ $each = $$ ] || kill -$signal -$each; done; [ $signal = TERM ] && sleep 0.2; done`,
].join("; ")
/** Constant: nothing of a client's or a target's is in it. */
export const sweepCommand = `exec sh -c '${script}' >/dev/null 2>&1`

/** Asks every program on this connection to end, then kills it; first on record. Settles when it is done, or could not be. */
export async function sweep(upstream: Connection, recorder: Recorder): Promise<void> {
  recorder.write({ kind: "swept", command: sweepCommand })
  const channel = await upstream.openSession()
  channel.resume()
  channel.stderrIn.resume()
  if (await channel.request("exec", pack(sweepCommand))) await channel.gone
  channel.closeNow()
}
