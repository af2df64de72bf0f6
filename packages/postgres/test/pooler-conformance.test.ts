import { type BrokerHarness, defineConformance, scenarios } from '@millrace/conformance';
import { describe, it } from 'vitest';
import { brokerAt, harness } from './harness.ts';

/** PgBouncer in transaction mode, where everything a session would remember is gone at the next statement. */
const poolerUrl = process.env.MILLRACE_TEST_PGBOUNCER_URL;

if (poolerUrl === undefined) {
  const reason = process.env.MILLRACE_TEST_PGBOUNCER_MISSING ?? 'MILLRACE_TEST_PGBOUNCER_URL is not set';
  it.skip(`the suite behind PgBouncer [${reason}]`, () => {});
} else {
  const { killConnections: _, resources: __, ...hooks } = harness.hooks ?? {};
  const pooled: BrokerHarness = {
    ...harness,
    name: 'postgres-pooler',
    url: poolerUrl,
    hooks,
    // Nothing is pushed through the pooler, so that waiting is polling.
    connect: (target) => brokerAt(target, { pollInterval: '50ms' }),
  };
  // What a pooler could break: transactions, sessions, statements that are remembered, messages. MOD-19 expects a broker
  // at its best; behind a pooler it says that it is not: see pooler.test.ts.
  const groups = /^(MOD|STM|DUP|LSE|CAN|CON)-/;
  const tiers = process.env.MILLRACE_TEST_ALL === undefined ? ['core'] : ['core', 'extended'];
  const chosen = scenarios.filter(({ id, tier }) => groups.test(id) && id !== 'MOD-19' && tiers.includes(tier));
  await defineConformance({ describe, it }, pooled, { concurrency: 8, scenarios: chosen });
}
