// HTTP/1.1 and WebSockets. `<target>.<domain>` names the target; a token in `Authorization: Bearer` or `X-Sluice-Token` says who.
//
//   downstream  one connection: parse, whose target, who        codec · headers · routing · bearer: what a request says
//   sessions    one http_session a person, target and address    relay    one exchange, there and back (upload, websocket)
//   browser_login  a browser is sent to log in and comes back (cookies)   pages  the gateway's own name: the approval service
//   upstream    the target's connections                          refusal  how HTTP says no
//   identity_jwt  what applications are told about the user
//
// Applications get `Sluice-Identity` (a JWT to verify with https://<gateway>/.well-known/jwks.json), `X-Sluice-Subject` and
// `X-Forwarded-For|Proto|Host`; the same names from a client never reach them. Their Host is the public name when the target's
// address is a bare one, else the name in the target's url.
import type { Protocol } from "../../src/gateway/contract.ts"
import { BrowserLogin } from "./browser_login.ts"
import { createDownstream } from "./downstream.ts"
import { IdentitySigner } from "./identity_jwt.ts"
import { createRouter } from "./routing.ts"
import { HttpSessions } from "./sessions.ts"

export const http: Protocol = {
  name: "http",
  tls: "accept",
  configure(host) {
    const signer = new IdentitySigner(host)
    const sessions = new HttpSessions({ clock: host.clock, signer })
    return createDownstream({ host, router: createRouter(host), sessions, signer, login: new BrowserLogin(host) })
  },
}
