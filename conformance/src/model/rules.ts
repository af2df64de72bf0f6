import type { Capabilities } from '@millrace/core';

/** What the rules of one broker are: the contract's, as far as its capabilities do not weaken them. */
export interface ModelRules {
  readonly capabilities: Capabilities;
  /** A claim that asks once gets everything it may have. Transports that push may need to be asked again. */
  readonly claimsAll: boolean;
  /** Whether a settle may be answered `unknown`: only where links are cut. */
  readonly mayLoseAnswers: boolean;
}

/** The rules for a broker that claims this. */
export function rulesFor(capabilities: Capabilities): ModelRules {
  return { capabilities, claimsAll: capabilities.claimByName && capabilities.tasks.get, mayLoseAnswers: false };
}
