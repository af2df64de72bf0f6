import { claimMutants } from './claim.ts';
import { claimByIdMutants } from './claim-by-id.ts';
import { controlMutants } from './control.ts';
import { enqueueMutants } from './enqueue.ts';
import { fenceMutants } from './fence.ts';
import { keepingMutants } from './keeping.ts';
import { lifecycleMutants } from './lifecycle.ts';
import { brokenBroker, type Mutant } from './mutant.ts';
import { payloadMutants } from './payload.ts';

/** Every broken broker. */
export const mutants: readonly Mutant[] = [
  ...fenceMutants,
  ...claimMutants,
  ...claimByIdMutants,
  ...enqueueMutants,
  ...payloadMutants,
  ...lifecycleMutants,
  ...controlMutants,
  ...keepingMutants,
];

/** Wrapped like a mutant, without a defect: the control. It has to pass everything. */
export const undamaged: Mutant = brokenBroker('undamaged', 'none', 'MOD-01', () => ({}));
