import type { ClaimRequest, Delivery } from '@millrace/core';

/** A claim under way, and what it was given while it slept. */
export interface WaitingClaim {
  readonly request: ClaimRequest;
  readonly wake: () => void;
  readonly given: Delivery[];
}

/** The claims of a session that wait. A task that is given to the session goes to one that may take it. */
export class WaitingClaims {
  readonly #claims: WaitingClaim[] = [];

  /** @param wake ends the sleep of this claim */
  open(request: ClaimRequest, wake: () => void): WaitingClaim {
    const claim: WaitingClaim = { request, wake, given: [] };
    this.#claims.push(claim);
    return claim;
  }

  /** Whether one of them takes it. */
  give(delivery: Delivery): boolean {
    const claim = this.#claims.find(
      ({ request, given }) =>
        request.signal?.aborted !== true &&
        given.length < request.limit &&
        request.queues.includes(delivery.queue) &&
        request.names.includes(delivery.name),
    );
    if (claim === undefined) return false;
    claim.given.push(delivery);
    claim.wake();
    return true;
  }

  /** Returns what it was given and has not taken. */
  close(claim: WaitingClaim): readonly Delivery[] {
    this.#claims.splice(this.#claims.indexOf(claim), 1);
    return claim.given.splice(0);
  }
}
