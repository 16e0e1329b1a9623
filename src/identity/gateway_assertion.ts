// What a gateway with a key of its own shows the approval service: a short-lived JWT over its name and the one call it goes with, so
// that nothing it sends is worth stealing. Owns the assertion's shape and its checks; which key is whose is the service's to know.
import { createPrivateKey, createPublicKey, randomUUID, type KeyObject } from "node:crypto"
import { decodeJwt, jwtVerify, SignJWT } from "jose"
import ssh2 from "ssh2"
import type { Clock, Millis } from "../core/clock.ts"
import { limits } from "../core/limits.ts"
import { Secret } from "../core/secret.ts"
import type { SshPublicKey } from "./credential.ts"

const algorithm = "EdDSA"
/** RFC 8725, section 3.11: a type of its own, so that no other JWT passes for an assertion. */
const type = "sluice-gateway+jwt"
const audience = "sluice approval service"
/** Of an Ed25519 key, at the end of its SSH wire form (RFC 8709, section 4). */
const point_bytes = 32
const id_chars_max = 36 // a UUID

/** The call that an assertion goes with. */
export interface AssertedCall {
  readonly method: string
  /** Without the query. */
  readonly path: string
}

export type GatewaySigner = (call: AssertedCall) => Promise<Secret>

/** `privateKey`: Ed25519, in OpenSSH's own format. */
export function gatewaySigner(options: { readonly name: string; readonly privateKey: Secret; readonly clock: Clock }): GatewaySigner {
  const { name, clock } = options
  const key = createPrivateKey(parse(options.privateKey).getPrivatePEM())
  return async ({ method, path }) => {
    const iat = Math.floor(clock.now() / 1000)
    // `htm`, `htu` and `jti` as RFC 9449, section 4.2, has them; the path alone, for a proxy may change the rest.
    const claims = {
      sub: name,
      aud: audience,
      iat,
      exp: iat + limits.gateway_assertion_ms / 1000,
      htm: method,
      htu: path,
      jti: randomUUID(),
    }
    return new Secret(await new SignJWT(claims).setProtectedHeader({ alg: algorithm, typ: type }).sign(key))
  }
}

/** The public half of a key in OpenSSH's own format. */
export function gatewayPublicKey(privateKey: Secret): SshPublicKey {
  const parsed = parse(privateKey)
  return { type: parsed.type, blob: parsed.getPublicSSH() }
}

/** The name that an assertion claims, unverified: to look up the key with. Undefined: this is none. */
export function claimedName(assertion: string): string | undefined {
  try {
    return decodeJwt(assertion).sub
  } catch {
    return undefined
  }
}

/** What an assertion is known by, to take it once alone, and until when it could be shown again. */
export interface Asserted {
  readonly id: string
  readonly until: Millis
}

/** `assertion` as the key's for this call now. Throws an Error with words for the log. */
export async function verifyAssertion(
  assertion: string,
  { key, call, clock }: { readonly key: SshPublicKey; readonly call: AssertedCall; readonly clock: Clock },
): Promise<Asserted> {
  const { payload } = await jwtVerify(assertion, publicKeyOf(key), {
    algorithms: [algorithm],
    typ: type,
    audience,
    requiredClaims: ["iat", "exp", "sub", "jti"],
    maxTokenAge: limits.gateway_assertion_ms / 1000,
    clockTolerance: limits.token_clock_skew_ms_max / 1000,
    currentDate: new Date(clock.now()),
  })
  const { iat = 0, jti = "", htm, htu } = payload
  if (htm !== call.method || htu !== call.path) throw new Error("it was signed for another call")
  if (jti.length > id_chars_max) throw new Error("its id is too long")
  return { id: jti, until: iat * 1000 + limits.gateway_assertion_ms + limits.token_clock_skew_ms_max }
}

function parse(secret: Secret): ssh2.ParsedKey {
  const parsed = ssh2.utils.parseKey(secret.reveal())
  if (parsed instanceof Error || parsed.type !== "ssh-ed25519") throw new Error("a gateway's key is an Ed25519 key in OpenSSH's format")
  return parsed
}

function publicKeyOf({ blob }: SshPublicKey): KeyObject {
  const x = blob.subarray(-point_bytes).toString("base64url")
  return createPublicKey({ key: { kty: "OKP", crv: "Ed25519", x }, format: "jwk" })
}
