// The programs that may ask for a login, and what people are told they are. All are public clients: nothing in them is secret.
const clients: ReadonlyMap<string, string> = new Map([["sluice-cli", "the sluice command"]])

/** Undefined: nobody is known by this id. */
export const clientCalled = (client_id: string): string | undefined => clients.get(client_id)
