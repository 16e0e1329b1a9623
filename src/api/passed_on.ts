// How a gateway says for whom it passes a call on: what a header claims about an address counts only beside the gateway's key.
export const passed_on = {
  key: "sluice-gateway-key",
  client: "sluice-client",
  /** In the answer: the service knows who called. */
  known: "sluice-known",
} as const
