// Where the token is in a request, and what is left of Authorization for the application. A token of ours is known by its form;
// whether it is good is for the gate to say.
import type { RequestHeaders } from "./headers.ts"

export interface Bearer {
  /** What shows who this is; undefined when nothing does. */
  readonly token: string | undefined
  /** The application's own Authorization; undefined when there is none. */
  readonly authorization: string | undefined
}

type Presented = Pick<RequestHeaders, "authorization" | "sluice_token">

/** For one connection: most requests on it bring what the one before brought. */
export class BearerReader {
  #presented: Presented | undefined
  #bearer: Bearer = { token: undefined, authorization: undefined }

  read(presented: Presented): Bearer {
    const last = this.#presented
    if (last === undefined || last.authorization !== presented.authorization || last.sluice_token !== presented.sluice_token) {
      this.#presented = { authorization: presented.authorization, sluice_token: presented.sluice_token }
      this.#bearer = readBearer(presented)
    }
    return this.#bearer
  }
}

/** `X-Sluice-Token: …` first, so that `Authorization` can be the application's; else `Authorization: Bearer …`. */
export function readBearer({ authorization, sluice_token }: Presented): Bearer {
  const presented = authorization === undefined ? undefined : bearerToken(authorization)
  const ours = presented !== undefined && isOurs(presented)
  return {
    token: sluice_token ?? (ours ? presented : undefined),
    // Our token never reaches an application, whichever header it came in.
    authorization: ours ? undefined : authorization,
  }
}

/** RFC 6750, section 2.1. The scheme's name has no case (RFC 9110, section 11.1). */
function bearerToken(authorization: string): string | undefined {
  return /^bearer +([\w.~+/=-]+) *$/i.exec(authorization)?.[1]
}

/** A JWT of type `sluice+jwt` (RFC 7519, section 5.1; RFC 8725, section 3.11). */
function isOurs(token: string): boolean {
  const dot = token.indexOf(".")
  if (dot === -1 || dot > 512) return false
  try {
    const header: unknown = JSON.parse(Buffer.from(token.slice(0, dot), "base64url").toString("utf8"))
    return typeof header === "object" && header !== null && "typ" in header && String(header.typ).toLowerCase() === "sluice+jwt"
  } catch {
    return false
  }
}
