// What every part of the API is made of: names, times, and ids.
import { z } from "zod"
import type { GrantId, InstanceId, LoginId, RequestId, SessionId } from "../core/ids.ts"

export const millis = z.int().nonnegative()
export const name = z.string().min(1).max(128)

/** Checked text becomes a branded id here and nowhere else. */
export const requestId = z.coerce.number().int().positive() as unknown as z.ZodType<RequestId, number>
export const grantId = z.string().regex(/^g_[0-9a-z]{16}$/) as unknown as z.ZodType<GrantId, string>
export const loginId = z.string().regex(/^l_[0-9a-z]{16}$/) as unknown as z.ZodType<LoginId, string>
export const instanceId = z.string().regex(/^i_[0-9a-z]{16}$/) as unknown as z.ZodType<InstanceId, string>
export const sessionId = z.string().regex(/^s_[0-9a-z]{16}$/) as unknown as z.ZodType<SessionId, string>
