// The connection to a target: ssh2's client over a dialled socket, logged in with the target's own credentials, its host key
// compared with the pinned ones and nothing else. What runs there is `relay.ts`.
import { createHash } from "node:crypto"
import type { Duplex } from "node:stream"
import ssh2, { type ConnectConfig } from "ssh2"
import type { Clock } from "../../src/core/clock.ts"
import { GatewayError } from "../../src/core/errors.ts"
import { limits } from "../../src/core/limits.ts"
import type { SshTarget } from "../../src/core/target.ts"
import { upstreamAlgorithms } from "./algorithms.ts"
import { Reader } from "./codec.ts"
import { type ChannelOpening, Connection } from "./connection.ts"
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
  /** The target wants a channel: a forwarded connection, or the client's agent. */
  onOpen(opening: ChannelOpening): void
}

/** Logs in. Throws `target_untrusted`, `target_login_failed`, `target_unreachable`; the cause says more, for the log. */
export function connectUpstream({ socket, target, login, software, clock, life, onOpen }: UpstreamOptions): Promise<Connection> {
  const pinned = target.hostKeys.map((line) => Buffer.from(line.split(" ")[1] ?? "", "base64"))
  const client = new ssh2.Client()
  return new Promise((resolve, reject) => {
    let connection: Connection | undefined
    let refused: GatewayError | undefined
    let trusted = false
    const fail = (failure?: unknown): void => {
      reject(
        refused ??
          new GatewayError(codeOf(failure, trusted), {}, failure ?? new Error("the target closed the connection during the login")),
      )
      socket.destroy()
    }
    client.on("error", fail).once("close", () => fail()) // errors after the login are seen as its end
    client.once("ready", () => resolve(connection!))
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
      algorithms: upstreamAlgorithms(pinned.map((key) => new Reader(key).text())),
      hostVerifier: (presented: Buffer) => {
        trusted = pinned.some((key) => key.equals(presented))
        if (!trusted) refused = new GatewayError("target_untrusted", {}, new Error(mismatch(presented, pinned)))
        return trusted
      },
      readyTimeout: limits.ssh_login_ms_max,
      keepaliveInterval: limits.ssh_keepalive_ms,
    })
    const transport = new Transport(client as Ssh2Connection, clock, life)
    transport.offerHybrid()
    connection = new Connection(transport, {
      onOpen,
      onGlobal: () => false,
      onBroken: fail,
    })
  })
}

function credentials({ auth }: SshTarget): Pick<ConnectConfig, "privateKey" | "password" | "tryKeyboard" | "authHandler"> {
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

const mismatch = (presented: Buffer, pinned: readonly Buffer[]): string =>
  `the host key is ${fingerprint(presented)}, pinned ${pinned.length === 1 ? "is" : "are"} ${pinned.map(fingerprint).join(", ")}`

/** As ssh-keygen -l prints it. */
export const fingerprint = (key: Buffer): string => `SHA256:${createHash("sha256").update(key).digest("base64").replace(/=+$/, "")}`
