import { sleep } from '../adapter/deadline.ts';
import type { Broker } from '../broker/broker.ts';
import type { Clock } from '../clock.ts';
import type { Logger } from '../logger.ts';

/** What the loop needs. */
export interface MaintenanceLoopOptions {
  readonly broker: Broker<unknown>;
  readonly intervalMs: number;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly random: () => number;
  readonly stop: AbortSignal;
}

const maxTasks = 1_000;

/** Reclaims, expires and prunes at an interval until stopped. Any number of workers may do so at once. */
export async function runMaintenance(options: MaintenanceLoopOptions): Promise<void> {
  const { broker, clock, logger, random, stop } = options;
  for (let failures = 0; !stop.aborted; ) {
    try {
      const report = await broker.maintain({ maxTasks, signal: stop });
      failures = 0;
      if (report.reclaimed > 0) {
        logger.warn({ reclaimed: report.reclaimed }, 'took tasks back from workers that went silent');
      }
      if (report.more) continue;
    } catch (error) {
      if (stop.aborted) return;
      failures++;
      logger.warn({ error, failures }, 'maintenance failed; trying again');
    }
    // Spread by a tenth, so that workers started together do not sweep together.
    await sleep(options.intervalMs * (0.9 + 0.2 * random()), stop, clock);
  }
}
