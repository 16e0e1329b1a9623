// The SSH user certificates that gateways log in to targets with (openssh-portable, PROTOCOL.certkeys): for one account, for some
// minutes, with what the target's config allows and no more.
import type { Millis } from "../core/clock.ts"
import type { Secret } from "../core/secret.ts"
import type { SshAllowed } from "../core/target.ts"
import { certify, readAuthority } from "./user_certificate.ts"

export interface TargetCertification {
  /** The gateway's key for this login, in wire form. */
  readonly key: Buffer
  /** The account on the target. */
  readonly login: string
  /** For the target's own log: whose session this is, and by which grant. */
  readonly key_id: string
  readonly allow: SshAllowed
  readonly serial: bigint
  readonly valid_from: Millis
  readonly valid_to: Millis
}

export interface TargetCa {
  /** In wire form. */
  readonly public: Buffer
  sign(certification: TargetCertification): string
}

/** `privateKey`: Ed25519 in OpenSSH's format. */
export function targetCa(privateKey: Secret): TargetCa {
  const authority = readAuthority(privateKey)
  return {
    public: authority.getPublicSSH(),
    sign: ({ login, allow, ...rest }) => certify(authority, { ...rest, principal: login, from: [], extensions: permitted(allow) }),
  }
}

function permitted({ agent, local_forward, remote_forward }: SshAllowed): string[] {
  return [
    ...(agent ? ["permit-agent-forwarding"] : []),
    ...(local_forward.length + remote_forward.length > 0 ? ["permit-port-forwarding"] : []),
    "permit-pty",
  ]
}
