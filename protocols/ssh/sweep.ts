// Ending what a target's sshd will not signal for us: OpenSSH refuses signal requests for root's logins, where it keeps no
// privilege separation. A second command on the same connection is a child of the same sshd process, so its siblings are the
// programs that run on our channels, and nothing else.
import { pack } from "./codec.ts"
import type { Connection } from "./connection.ts"

// `exec sh`, because the login's own shell may be another kind. Every program is the leader of its own process group.
const script = `exec sh -c 'all=$(pgrep -P $PPID || cat /proc/$PPID/task/*/children)
for signal in HUP TERM KILL; do
  for each in $all; do [ $each = $$ ] || kill -$signal -$each; done
  [ $signal = TERM ] && sleep 0.2
done' >/dev/null 2>&1`

/** Asks every program on this connection to end, then kills it. Settles when it is done, or could not be. */
export async function sweep(upstream: Connection): Promise<void> {
  const channel = await upstream.openSession()
  channel.resume()
  await channel.request("exec", pack(script))
  await channel.gone
}
