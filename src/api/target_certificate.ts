// What a gateway asks for, and gets, to log in to an SSH target by certificate.
import { z } from "zod"
import { limits } from "../core/limits.ts"
import { sessionId } from "./schema.ts"

const name = z.string().min(1).max(128)

export const targetCertificateWanted = z.strictObject({
  gateway: name,
  session: sessionId,
  /** The account on the target. */
  login: name,
  /** One line as in a .pub file. */
  public_key: z.string().min(1).max(limits.certificate_request_chars_max),
})

export const targetCertificate = z.object({
  /** One line as in a -cert.pub file. */
  certificate: z.string(),
  expires_at: z.int(),
})
export type TargetCertificate = z.infer<typeof targetCertificate>
