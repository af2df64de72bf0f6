import { type BrokerHarness, defineConformance } from '@millrace/conformance';
import { describe, it } from 'vitest';
import { harness } from './harness.ts';

/** PgBouncer in transaction mode, where everything a session would remember is gone at the next statement. */
const poolerUrl = process.env.MILLRACE_TEST_PGBOUNCER_URL;

if (poolerUrl === undefined) {
  const reason = process.env.MILLRACE_TEST_PGBOUNCER_MISSING ?? 'MILLRACE_TEST_PGBOUNCER_URL is not set';
  it.skip(`the suite behind PgBouncer [${reason}]`, () => {});
} else {
  const { killConnections: _, resources: __, ...hooks } = harness.hooks ?? {};
  const pooled: BrokerHarness = { ...harness, name: 'postgres-pooler', url: poolerUrl, hooks };
  await defineConformance({ describe, it }, pooled, { concurrency: 4 });
}
