// Anything else that speaks TCP: Redis, a mail server, somebody's own. It has no listener; a client comes in a channel of an SSH
// connection, `ssh -N -L 6379:redis:6379 gateway` or `ssh -W redis:6379 gateway`, and SSH says who it is.
//
//   relay   from the grant to the end of one connection, which is one session: nothing else need die with it
//
// What passes is not looked at: on record is that there was a connection, for how long, and how many bytes went each way.
import type { CarriedProtocol } from "../../src/gateway/contract.ts"
import { relayConnection } from "./relay.ts"

export const tcp: CarriedProtocol = {
  name: "tcp",
  tls: "carried",
  configure: () => relayConnection,
}
