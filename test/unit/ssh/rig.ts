// Two ends of one SSH connection in memory: our server's side and our client's side, with nothing of the gateway in between.
import type { Duplex } from "node:stream"
import { after } from "node:test"
import ssh2 from "ssh2"
import type { ChannelOpening, Connection, ConnectionOwner } from "../../../protocols/ssh/connection.ts"
import type { Channel } from "../../../protocols/ssh/channel.ts"
import { serveHandshake } from "../../../protocols/ssh/handshake.ts"
import { HostKeys } from "../../../protocols/ssh/host_keys.ts"
import { parsePrivateKey } from "../../../protocols/ssh/host_certificate.ts"
import { type KeyLife, keyLife } from "../../../protocols/ssh/key_renewal.ts"
import { connectUpstream } from "../../../protocols/ssh/upstream.ts"
import { GatewayError } from "../../../src/core/errors.ts"
import { Secret } from "../../../src/core/secret.ts"
import { type SshTarget, usual_env } from "../../../src/core/target.ts"
import { createLog } from "../../../src/observe/log.ts"
import { FakeClock } from "../../support/fake_clock.ts"
import { keyPair } from "../../support/people.ts"
import { wire } from "../../support/wire.ts"

/** Connections keep themselves alive; a test file must not. */
const sockets: Duplex[] = []
after(() => sockets.forEach((socket) => socket.destroy()))

export const hostKey = keyPair("host")
export const userKey = keyPair("user")

export interface Served {
  readonly socket: Duplex
  /** The server's side, once the client has identified itself. */
  readonly server: Promise<Connection>
  /** Channels the client opened, in order. */
  readonly opened: Channel[]
  readonly broken: GatewayError[]
}

export interface ServeOptions {
  readonly owner?: Partial<ConnectionOwner>
  readonly login?: (attempt: ssh2.AuthContext) => Promise<true | readonly string[]>
  readonly onConnection?: (connection: Connection) => void
  readonly clock?: FakeClock
  readonly life?: KeyLife
}

/** A server that accepts every session channel and everybody, unless told otherwise. */
export function serve({ owner, login, onConnection, clock = new FakeClock(), life = keyLife }: ServeOptions = {}): Served {
  const { near, far } = wire()
  sockets.push(near)
  const server = Promise.withResolvers<Connection>()
  const opened: Channel[] = []
  const broken: GatewayError[] = []
  void serveHandshake({
    socket: far,
    keys: new HostKeys(parsePrivateKey(new Secret(hostKey.privateKey)), parsePrivateKey(new Secret(keyPair("ca").privateKey)), clock).for(
      "host",
    ),
    log: createLog("silent"),
    clock,
    life,
    owner: {
      onOpen: (opening) => void opened.push(opening.accept()),
      onGlobal: () => false,
      onBroken: (why) => void broken.push(why),
      ...owner,
    },
    onConnection: (connection) => {
      server.resolve(connection)
      onConnection?.(connection)
    },
    login: login ?? (() => Promise.resolve(true)),
  })
  return { socket: near, server: server.promise, opened, broken }
}

/** A line on which what the server says can be kept waiting. */
export function slowLine(socket: Duplex): { readonly client: Duplex; wait(): void; go(): void } {
  const { near, far } = wire()
  far.pipe(socket)
  socket.pipe(far)
  socket.once("close", () => far.destroy())
  return {
    client: near,
    wait: () => void socket.unpipe(far),
    go: () => void socket.pipe(far),
  }
}

export const targetWith = (changes: Partial<SshTarget> = {}): SshTarget => ({
  protocol: "ssh",
  name: "host",
  labels: {},
  address: { host: "host", port: 22 },
  logins: ["deploy"],
  auth: { key: new Secret(userKey.privateKey) },
  sftp: "all",
  record: { digests: true },
  allow: { shell: true, exec: true, local_forward: [], remote_forward: [], agent: false, env: [...usual_env] },
  hostKeys: [hostKey.publicKey],
  hostCas: [],
  ...changes,
})

/** Our own client on the other end. */
export const connect = (socket: Duplex, target = targetWith(), life = keyLife): Promise<Connection> => {
  const onOpen = (opening: ChannelOpening): void => opening.refuse(1, "")
  return connectUpstream({ socket, target, login: "deploy", software: "Sluice", clock: new FakeClock(), life, onOpen })
}

/** ssh2's client, which shows what a library's user would see. */
export async function ssh2Client(socket: Duplex, config: ssh2.ConnectConfig = {}): Promise<{ client: ssh2.Client; said: string[] }> {
  const client = new ssh2.Client()
  const said: string[] = []
  client.on("banner", (text) => said.push(text)).on("error", (error) => said.push(error.message))
  client.connect({ sock: socket, username: "deploy", privateKey: userKey.privateKey, ...config })
  await new Promise<void>((resolve) => client.once("ready", resolve).once("close", resolve))
  return { client, said }
}
