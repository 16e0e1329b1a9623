// `ssh -J gateway login@target`: the second, whole SSH connection inside a channel of the first. The gateway is its server, in
// the target's name and with a host certificate for exactly that name. Who it is was proven outside, so here `none` is enough to
// log in; a client that insists on a key must show one of the same person. Without a grant it is asked here, where it may be.
import type { AuthContext } from "ssh2"
import type { Identity } from "../../src/core/identity.ts"
import { limits } from "../../src/core/limits.ts"
import type { Gate, Host } from "../../src/gateway/contract.ts"
import type { Channel } from "./channel.ts"
import { serveHandshake } from "./handshake.ts"
import type { HostKeys } from "./host_keys.ts"
import type { KeyLife } from "./key_renewal.ts"
import { keyLogin, loginMethods } from "./key_login.ts"
import { isConversation, TargetLogin } from "./target_login.ts"
import { TargetSession } from "./target_session.ts"
import type { Transport } from "./transport.ts"

export interface JumpOptions {
  readonly channel: Channel
  /** The connection that the channel is on. */
  readonly carrier: Transport
  readonly identity: Identity
  readonly target: string
  readonly gate: Gate
  readonly host: Host
  readonly keys: HostKeys
  readonly life: KeyLife
}

/** Serves until the channel is closed and the session's recording with it. */
export async function serveJump({ channel, carrier, identity, target, gate, host, keys, life }: JumpOptions): Promise<void> {
  const session = new TargetSession(host, gate, life)
  const silent = host.clock.after(limits.handshake_ms_max.ssh, () => {
    if (!transport?.authenticated) channel.destroy()
  })
  const login = new TargetLogin({ gate, host, life, session, onAsking: () => silent.cancel() })
  let transport: Transport | undefined
  // As a socket would: gone when either side has ended.
  channel.once("end", () => channel.destroy())
  void channel.gone.then(() => channel.destroy())
  await serveHandshake({
    socket: channel,
    keys: keys.for(target),
    owner: session,
    log: gate.log,
    clock: host.clock,
    life,
    onConnection: (connection) => {
      transport = connection.transport
      session.attach(connection, carrier)
      login.attach(connection)
    },
    login: async (attempt: AuthContext) => {
      const route = { identity, target, login: attempt.username }
      if (isConversation(attempt)) return login.converse(attempt, route)
      const shown = attempt.method === "none" ? identity : await keyLogin(attempt, gate)
      if (shown === "asked") return true
      if (shown?.subject !== identity.subject) return loginMethods
      return login.enter(route, { proven: attempt.method !== "none" })
    },
  })
  silent.cancel()
  await session.ended
}
