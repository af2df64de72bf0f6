import type { SettleOp } from '@millrace/core';
import { buildFailure } from '../context/builders.ts';
import type { ScenarioContext } from '../context/scenario-context.ts';
import { recoveryMs } from './call-end.ts';
import { layWire } from './wire.ts';

const rounds = 10;

/**
 * T5: `applied` survives that the connection is cut the moment it is answered. A broker that answers when it has sent,
 * instead of when it has heard, loses the settle with the connection: an AMQP `ack` without a barrier 120 times of 120.
 */
export async function cutAfterApplied(t: ScenarioContext): Promise<void> {
  const wire = await layWire(t);
  const client = await wire.open();
  for (const type of ['complete', 'fail', 'retry'] as const) {
    await t.cell(`${type}, then cut at once`, async () => {
      const queues = [`cut after ${type}`];
      const tasks = await t.enqueueMany(rounds, () => ({ queue: queues[0] ?? '' }));
      for (let round = 0; round < rounds; round++) {
        // The client may first find out that its connections are gone.
        const holder = await t.eventually(() => t.holder({ client }).catch(() => undefined), 'a session');
        const [delivery] = await holder.claimMany(1, { queues });
        const lease = t.defined(delivery, 'a delivery').lease;
        const failure = buildFailure();
        const operation: SettleOp =
          type === 'complete'
            ? { type, lease }
            : type === 'fail'
              ? { type, lease, failure }
              : { type, lease, delayMs: 3_600_000, failure };
        // On a connection that was just made anew a server may take its time: what is unknown may be asked again.
        const outcome = await t.eventually(
          async () => (await holder.settleAll([operation])).find((each) => each !== 'unknown'),
          `the answer to a ${type}`,
          recoveryMs(t),
        );
        wire.proxy.sever();
        t.equal(outcome, 'applied', 'the answer');
      }
      // Nothing of it comes again, although the sessions may have ended with their connections.
      await t.maintain();
      await (await t.holder()).claimsNothing({ queues });
      if (!t.capabilities.tasks.get) return;
      const state = { complete: 'succeeded', fail: 'failed', retry: 'retrying' }[type];
      const records = await t.soon(t.tasks.get(tasks.map((task) => task.id)), 'the answer to get');
      t.equal(
        records.map((record) => record?.state),
        tasks.map(() => state),
        'the states',
      );
    });
  }
}
