// The connection to a target: ssh2's client over a dialled socket, logged in with the target's own credentials or a certificate
// made for this login, its host key as `host_trust.ts` has it. What runs there is `relay.ts`.
import type { Duplex } from "node:stream"
import ssh2, { type ConnectConfig } from "ssh2"
import type { Clock } from "../../src/core/clock.ts"
import { GatewayError } from "../../src/core/errors.ts"
import { limits } from "../../src/core/limits.ts"
import type { SshTarget } from "../../src/core/target.ts"
import { upstreamAlgorithms } from "./algorithms.ts"
import type { CertifiedKey } from "./certificate_login.ts"
import { type ChannelOpening, Connection } from "./connection.ts"
import { HostTrust } from "./host_trust.ts"
import type { KeyLife } from "./key_renewal.ts"
import { type Ssh2Connection, Transport } from "./transport.ts"

export interface UpstreamOptions {
  readonly socket: Duplex
  readonly target: SshTarget
  readonly login: string
  /** Named in the identification string. */
  readonly software: string
  readonly clock: Clock
  readonly life: KeyLife
  /** For a target that is logged in to by certificate. */
  readonly certified?: CertifiedKey | undefined
  /** The target wants a channel: a forwarded connection, or the client's agent. */
  onOpen(opening: ChannelOpening): void
}

/** Logs in. Throws `target_untrusted`, `target_login_failed`, `target_unreachable`; the cause says more, for the log. */
export function connectUpstream(options: UpstreamOptions): Promise<Connection> {
  const { socket, target, login, software, clock, life, certified, onOpen } = options
  const trust = new HostTrust(target)
  const client = new ssh2.Client()
  return new Promise((resolve, reject) => {
    let connection: Connection | undefined
    let refused: GatewayError | undefined
    let trusted = false
    let known: Buffer | undefined
    const fail = (failure?: unknown): void => {
      reject(
        refused ??
          new GatewayError(codeOf(failure, trusted), {}, failure ?? new Error("the target closed the connection during the login")),
      )
      socket.destroy()
    }
    client.on("error", fail).once("close", () => fail()) // errors after the login are seen as its end
    client.once("ready", () => {
      connection!.transport.keepAlive(() => socket.destroy())
      resolve(connection!)
    })
    client.on("keyboard-interactive", (_name, _instructions, _language, prompts, answer) => {
      // PAM asks for the password this way; nothing else is ours to answer.
      const password = "password" in target.auth && prompts.length === 1 && prompts[0]?.echo !== true ? target.auth.password.reveal() : ""
      answer(prompts.map(() => password))
    })
    client.connect({
      sock: socket,
      username: login,
      ident: software,
      ...credentials(target),
      algorithms: upstreamAlgorithms,
      hostVerifier: (presented: Buffer) => {
        // At a renewal the host shows the same again: a certificate that ended meanwhile was good when it counted.
        const refusal = known?.equals(presented) ? undefined : trust.refuses(presented, clock.now())
        trusted = refusal === undefined
        if (trusted) known = Buffer.from(presented)
        else refused = new GatewayError("target_untrusted", {}, new Error(refusal))
        return trusted
      },
      readyTimeout: limits.ssh_login_ms_max,
    })
    const transport = new Transport(client as Ssh2Connection, clock, life)
    transport.takeHostKeys(trust.algorithms)
    transport.offerHybrid()
    if (certified) transport.logInCertified(certified)
    connection = new Connection(transport, {
      onOpen,
      onGlobal: () => false,
      onBroken: fail,
    })
  })
}

function credentials({ auth }: SshTarget): Pick<ConnectConfig, "privateKey" | "password" | "tryKeyboard" | "authHandler"> {
  if ("certificate" in auth) return { authHandler: ["none"] }
  if ("key" in auth) return { privateKey: auth.key.reveal(), authHandler: ["publickey"] }
  return { password: auth.password.reveal(), tryKeyboard: true, authHandler: ["password", "keyboard-interactive"] }
}

function codeOf(failure: unknown, trusted: boolean): "target_unreachable" | "target_login_failed" | "target_untrusted" {
  const { level, message } = (failure ?? {}) as { level?: string; message?: string }
  if (level === "client-authentication") return "target_login_failed"
  // A target that has no key of a pinned type, or that cannot sign with the one it shows.
  if (level === "handshake" && (!trusted ? /host key/i.test(message ?? "") : /signature/i.test(message ?? ""))) return "target_untrusted"
  return "target_unreachable"
}
