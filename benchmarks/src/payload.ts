/** What every task carries, on every subject. */
export interface Payload {
  readonly to: string;
  readonly template: string;
  readonly locale: string;
  readonly userId: number;
  /** Sequence number, or the moment of sending in the latency workload. */
  readonly mark: number;
  readonly items: readonly string[];
}

/** Bytes of JSON of every payload, whatever its mark. */
export const payloadBytes = 187;

const items = ['invoice', 'terms', 'a pdf with the picture of a heron and two toads'];

/** A payload of exactly `payloadBytes` as JSON. */
export function makePayload(mark: number): Payload {
  // Fixed width below the integer limit: marks of different length must not change what is measured.
  const fixed = 1_000_000_000_000 + Math.round(mark * 1000);
  return {
    to: 'someone@example.org',
    template: 'welcome-mail',
    locale: 'en-GB',
    userId: 1_234_567,
    mark: fixed,
    items,
  };
}

/** What was given to `makePayload`, to three decimals. */
export function markOf(payload: Payload): number {
  return (payload.mark - 1_000_000_000_000) / 1000;
}
