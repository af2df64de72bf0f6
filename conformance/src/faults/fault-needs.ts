import type { Need } from '../scenario.ts';
import { endpointOf } from './endpoint-url.ts';

/** Needs a backend that is reached by TCP, so that a proxy can stand before it, and time that is real. */
export const networked: Need = (_capabilities, harness) => {
  if (harness.clock !== undefined)
    return { status: 'not-run', reason: 'not run: its time is virtual, a network’s is not' };
  if (harness.url === undefined)
    return { status: 'not-run', reason: 'not run: the harness has no url to put a proxy before' };
  try {
    endpointOf(harness.url);
    return true;
  } catch (error) {
    return { status: 'not-run', reason: `not run: ${(error as Error).message}` };
  }
};
