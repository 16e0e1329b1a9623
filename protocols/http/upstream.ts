// The target's side of one HTTP session: a pool of HTTP/1.1 connections, each of them dialled by the session, so that they die
// with it. It sends what it is given; which headers those are is `headers.ts`'s work.
import type { Duplex } from "node:stream"
import { Pool, type buildConnector, type Dispatcher } from "undici"
import { limits } from "../../src/core/limits.ts"
import type { HttpTarget } from "../../src/core/target.ts"
import type { Session } from "../../src/gateway/contract.ts"

export interface Upstream {
  readonly origin: string
  /** What the target's paths start with; "" for nothing. */
  readonly prefix: string
  /**
   * Whether the target gets the public name as its Host: when its address is a bare one it has no name of its own to be asked
   * by, and applications compare Host with Origin. One with a name is asked by that name.
   */
  readonly keepsHost: boolean
  readonly passesEscapedSlash: boolean
  dispatch(request: UpstreamRequest, handler: Dispatcher.DispatchHandler): void
  /** Everything that runs fails with `reason`, now. */
  destroy(reason: Error): void
}

export type UpstreamRequest = Pick<Dispatcher.DispatchOptions, "path" | "method" | "headers" | "body" | "upgrade">

export function openUpstream(session: Session, target: HttpTarget): Upstream {
  const { url } = target
  const pool = new Pool(url.origin, {
    connections: limits.http_exchanges_max,
    // An exchange may be silent as long as its client waits and its grant lasts: downloads stall, event streams sleep.
    headersTimeout: 0,
    bodyTimeout: 0,
    maxHeaderSize: limits.http_header_bytes_max,
    connect: (_, callback) => void connect({ session, target }, callback),
  })
  return {
    origin: url.origin,
    prefix: url.pathname.replace(/\/+$/, ""),
    keepsHost: url.hostname === "localhost" || /^[\d.]+$|^\[/.test(url.hostname),
    passesEscapedSlash: target.escaped_slashes === "pass",
    dispatch: (request, handler) => void pool.dispatch(request, handler),
    destroy: (reason) => void pool.destroy(reason),
  }
}

async function connect({ session, target }: { session: Session; target: HttpTarget }, callback: buildConnector.Callback): Promise<void> {
  const { url, ca } = target
  let socket: Duplex
  try {
    socket = await session.dial()
    if (url.protocol === "https:") {
      const servername = url.hostname.replaceAll(/[[\]]/g, "")
      socket = await session.secure(socket, { verify: true, servername, ca, alpn: ["http/1.1"] })
    }
  } catch (failure) {
    return callback(failure as Error, null)
  }
  // undici's types ask for a net.Socket; all that it uses is a Duplex.
  callback(null, socket as never)
}
