// What a gateway signs of a call, besides where it goes: so that what was caught on its way can at most be the same call again. Both
// ends make the same text of it; how it is signed is `identity/gateway_assertion.ts`'s business.

/** In the answers to gateways: which service answers, as the feed says it too. */
export const service_header = "sluice-service"

/** Of a call of the gateway's own: its query, without the "?", and its body, each "" where there is none. */
export const contentOfCall = (query: string, body: string): string => `call\n${query}\n${body}`

/** Of a call that it passes on for somebody at the network address `client`: only that the call comes from there is the gateway's word. */
export const contentPassedOn = (client: string): string => `client\n${client}`

export const queryOf = (url: string): string => url.split("?").slice(1).join("?")
