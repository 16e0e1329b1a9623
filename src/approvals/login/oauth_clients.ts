// The programs that may ask for a login, and what people are told they are. All are public clients: nothing in them is secret.

export interface OAuthClient {
  readonly called: string
  /** What its tokens are good for: the API, or the targets themselves. The latter come by the device flow and are not renewed. */
  readonly use: "api" | "targets"
}

const clients: ReadonlyMap<string, OAuthClient> = new Map([
  ["sluice-cli", { called: "the sluice command", use: "api" }],
  ["psql", { called: "a PostgreSQL client", use: "targets" }],
])

/** Undefined: nobody is known by this id. */
export const clientOf = (client_id: string): OAuthClient | undefined => clients.get(client_id)
