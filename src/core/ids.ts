// Names for things, as branded strings: a grant's id cannot be passed where a session's is meant.
import { randomBytes } from "node:crypto"

declare const brand: unique symbol
type Branded<Name extends string> = string & { readonly [brand]: Name }

export type GrantId = Branded<"grant">
export type SessionId = Branded<"session">
export type LoginId = Branded<"login">
/** One start of one process of a gateway. */
export type InstanceId = Branded<"instance">
/** One start of one approval service. */
export type ServiceId = Branded<"service">
/** Somebody who waits, in the tool they are in, for a decision. */
export type WaiterId = Branded<"waiter">

/** A request's number: small and rising, because people read it aloud and type it. */
export type RequestId = number & { readonly [brand]: "request" }

const alphabet = "0123456789abcdefghjkmnpqrstvwxyz" // Crockford base32: no i, l, o, u

/** 80 random bits: unguessable, short enough to copy. */
function random(): string {
  return Array.from(randomBytes(16), (byte) => alphabet[byte & 31]).join("")
}

export const newGrantId = (): GrantId => `g_${random()}` as GrantId
/** What a receiver knows a notification by that comes twice. */
export const newNotificationId = (): string => `n_${random()}`
export const newSessionId = (): SessionId => `s_${random()}` as SessionId

export const newServiceId = (): ServiceId => `a_${random()}` as ServiceId
export const newInstanceId = (): InstanceId => `i_${random()}` as InstanceId
export const newWaiterId = (): WaiterId => `w_${random()}` as WaiterId
export const newLoginId = (): LoginId => `l_${random()}` as LoginId

export const isGrantId = (text: string): text is GrantId => /^g_[0-9a-z]{16}$/.test(text)
export const isLoginId = (value: unknown): value is LoginId => typeof value === "string" && /^l_[0-9a-z]{16}$/.test(value)
export const isServiceId = (text: string): text is ServiceId => /^a_[0-9a-z]{16}$/.test(text)
/** Session ids name files: nothing but this shape may reach a path. */
export const isSessionId = (text: string): text is SessionId => /^s_[0-9a-z]{16}$/.test(text)
