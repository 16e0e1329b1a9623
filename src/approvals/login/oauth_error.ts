// A failure of the OAuth endpoints, in the protocol's own words (RFC 6749, section 5.2; RFC 8628, section 3.5).
export type OAuthCode =
  | "invalid_request"
  | "invalid_client"
  | "invalid_grant"
  | "unauthorized_client"
  | "unsupported_grant_type"
  | "authorization_pending"
  | "slow_down"
  | "access_denied"
  | "expired_token"

export class OAuthError extends Error {
  readonly code: OAuthCode

  constructor(code: OAuthCode, words: string = code) {
    super(words)
    this.name = "OAuthError"
    this.code = code
  }
}
