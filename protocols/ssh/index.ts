// SSH: stock `ssh -J gateway login@target`, `ssh login@target@gateway`, and the gateway's own verbs.
//
//   downstream   a client's connection: handshake, login, what it came for        handshake · key_login · route · verb_channel
//   jump         the second connection inside the first                            host_keys · host_certificate
//   target_session  from the grant to the end of one connection to a target        upstream · relay · recorded_stream
//   connection   RFC 4254's channels, over ssh2's transport                        channel · transport · key_renewal · codec · algorithms
import type { Protocol } from "../../src/gateway/contract.ts"
import { Downstream } from "./downstream.ts"
import { HostKeys } from "./host_keys.ts"
import { type KeyLife, keyLife } from "./key_renewal.ts"

export const ssh: Protocol = sshWith(keyLife)

/** With keys that are renewed at other bounds than the usual ones. */
export function sshWith(life: KeyLife): Protocol {
  return {
    name: "ssh",
    tls: "in_stream", // it has its own encryption
    configure(host) {
      const loading = HostKeys.load(host.keys, host.clock)
      loading.catch((err: unknown) => host.log.error({ err }, "the gateway's SSH keys cannot be read"))
      return async (client, gate) => new Downstream({ client, gate, host, keys: await loading, life }).serve()
    },
  }
}
