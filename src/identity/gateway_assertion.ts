// What a gateway with a key of its own shows the approval service: a short-lived JWT over its name, the one call it goes with, to the
// byte, and the service it is for, so that nothing it sends is worth stealing. A gateway learns from each answer who answered; while it
// does not know, or reaches several services by one address, it signs for any of them, and they remember together what was shown. Owns the assertion's shape and its checks; which key is whose is the service's to know.
import { createHash, createPrivateKey, createPublicKey, randomUUID, timingSafeEqual, type KeyObject } from "node:crypto"
import { decodeJwt, jwtVerify, SignJWT } from "jose"
import ssh2 from "ssh2"
import type { Clock, Millis } from "../core/clock.ts"
import { isServiceId, type ServiceId } from "../core/ids.ts"
import { limits } from "../core/limits.ts"
import { Secret } from "../core/secret.ts"
import type { SshPublicKey } from "./credential.ts"

const algorithm = "EdDSA"
/** RFC 8725, section 3.11: a type of its own, so that no other JWT passes for an assertion. */
const type = "sluice-gateway+jwt"
/** Whichever service of the store it reaches. */
const any_service = "sluice approval service"
/** Of an Ed25519 key, at the end of its SSH wire form (RFC 8709, section 4). */
const point_bytes = 32
const id_chars_max = 36 // a UUID
const digest_bytes = 32 // SHA-256

/** The call that an assertion goes with. */
export interface AssertedCall {
  readonly method: string
  /** Without the query. */
  readonly path: string
}

export interface SignedCall extends AssertedCall {
  /** Whatever else belongs to the call. */
  readonly content: string
  /** It is for any service. */
  readonly once?: true
}

export interface GatewaySigner {
  (call: SignedCall): Promise<Secret>
  /** Told who answered what was `shown`, and whether with a refusal. True: it was for another service; sign anew. */
  answered(shown: Secret, by: { readonly service: unknown; readonly refused: boolean }): boolean
}

/** `privateKey`: Ed25519, in OpenSSH's own format. */
export function gatewaySigner(options: { readonly name: string; readonly privateKey: Secret; readonly clock: Clock }): GatewaySigner {
  const { name, clock } = options
  const key = createPrivateKey(parse(options.privateKey).getPrivatePEM())
  const recipient = new Recipient(clock)
  const madeFor = new WeakMap<Secret, string>()
  const sign = async ({ method, path, content, once }: SignedCall): Promise<Secret> => {
    const aud = once ? any_service : recipient.now
    const iat = Math.floor(clock.now() / 1000)
    // `htm`, `htu` and `jti` as RFC 9449, section 4.2, has them; the path alone, for a proxy may change the rest.
    const claims = {
      sub: name,
      aud,
      iat,
      exp: iat + limits.gateway_assertion_ms / 1000,
      htm: method,
      htu: path,
      jti: randomUUID(),
      content: digest(content).toString("base64url"),
    }
    const shown = new Secret(await new SignJWT(claims).setProtectedHeader({ alg: algorithm, typ: type }).sign(key))
    madeFor.set(shown, aud)
    return shown
  }
  return Object.assign(sign, {
    answered: (shown: Secret, { service, refused }: { readonly service: unknown; readonly refused: boolean }): boolean => {
      if (typeof service !== "string" || !isServiceId(service)) return false
      const aud = madeFor.get(shown)
      const misdirected = refused && aud !== any_service && aud !== service
      if (misdirected) recipient.missed(service)
      else if (!refused) recipient.reached(service)
      return misdirected
    },
  })
}

/** Whom to sign for now. */
class Recipient {
  readonly #clock: Clock
  #service: ServiceId | undefined
  #missed: Millis = -Infinity
  #unaddressed_until: Millis = -Infinity

  constructor(clock: Clock) {
    this.#clock = clock
  }

  get now(): string {
    return this.#clock.now() < this.#unaddressed_until ? any_service : (this.#service ?? any_service)
  }

  reached(service: ServiceId): void {
    this.#service = service
  }

  /** Once: the service was started anew. Again soon: several stand behind one address. */
  missed(service: ServiceId): void {
    const now = this.#clock.now()
    if (now - this.#missed < limits.gateway_unaddressed_ms) this.#unaddressed_until = now + limits.gateway_unaddressed_ms
    this.#missed = now
    this.#service = service
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

export interface VerifyOptions {
  readonly key: SshPublicKey
  readonly call: AssertedCall
  /** The one that verifies. */
  readonly service: ServiceId
  readonly clock: Clock
}

/** What an assertion is known by, to take it once alone, and until when it could be shown again. */
export interface Asserted {
  readonly id: string
  readonly until: Millis
  /** It is not for this service alone: another one of the store would take it too. */
  readonly anywhere: boolean
  /** Whether it was signed with this content. */
  covers(content: string): boolean
}

/** The gateway signed it for another service: nobody's mistake when services are started anew. */
export class AnotherService extends Error {}

/** `assertion` as the key's for this call at `service` now; what it covers is the caller's to ask. Throws an Error with words for the log. */
export async function verifyAssertion(assertion: string, { key, call, service, clock }: VerifyOptions): Promise<Asserted> {
  const { payload } = await jwtVerify(assertion, publicKeyOf(key), {
    algorithms: [algorithm],
    typ: type,
    requiredClaims: ["aud", "iat", "exp", "sub", "jti"],
    maxTokenAge: limits.gateway_assertion_ms / 1000,
    clockTolerance: limits.token_clock_skew_ms_max / 1000,
    currentDate: new Date(clock.now()),
  })
  const { aud, iat = 0, jti = "", htm, htu, content } = payload
  if (aud !== any_service && aud !== service) {
    if (typeof aud === "string" && isServiceId(aud)) throw new AnotherService("it was signed for another service")
    throw new Error("it is for something else than an approval service")
  }
  if (htm !== call.method || htu !== call.path) throw new Error("it was signed for another call")
  if (jti.length > id_chars_max) throw new Error("its id is too long")
  const signed = typeof content === "string" ? Buffer.from(content, "base64url") : Buffer.alloc(0)
  if (signed.length !== digest_bytes) throw new Error("it does not say for which content it was signed")
  return {
    id: jti,
    until: iat * 1000 + limits.gateway_assertion_ms + limits.token_clock_skew_ms_max,
    anywhere: aud === any_service,
    covers: (text) => timingSafeEqual(digest(text), signed),
  }
}

const digest = (text: string): Buffer => createHash("sha256").update(text).digest()

function parse(secret: Secret): ssh2.ParsedKey {
  const parsed = ssh2.utils.parseKey(secret.reveal())
  if (parsed instanceof Error || parsed.type !== "ssh-ed25519") throw new Error("a gateway's key is an Ed25519 key in OpenSSH's format")
  return parsed
}

function publicKeyOf({ blob }: SshPublicKey): KeyObject {
  const x = blob.subarray(-point_bytes).toString("base64url")
  return createPublicKey({ key: { kty: "OKP", crv: "Ed25519", x }, format: "jwk" })
}
