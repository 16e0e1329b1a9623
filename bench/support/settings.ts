// What a person may choose about a run.
export interface Settings {
  /** How often each contender has its turn. */
  readonly rounds: number
  /** How long one turn lasts, where load is applied for a time. */
  readonly seconds: number
  /** A folder for V8 CPU profiles of Sluice; it costs speed, so such a run is for looking, not for publishing. */
  readonly profile: string | undefined
}
