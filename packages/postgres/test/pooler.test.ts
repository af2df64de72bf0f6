import { expect, test } from 'vitest';
import { claimOf, newTask } from './builders.ts';
import { newBroker, newSchema, openSession, watchUnhandled } from './support.ts';

watchUnhandled();

const poolerUrl = process.env.MILLRACE_TEST_PGBOUNCER_URL;
const reason = process.env.MILLRACE_TEST_PGBOUNCER_MISSING ?? 'MILLRACE_TEST_PGBOUNCER_URL is not set';
const here = poolerUrl === undefined ? test.skip : test;
const title = (text: string): string => (poolerUrl === undefined ? `${text} [${reason}]` : text);

here(title('a pooler is found out: polling instead of messages, and the broker says so'), async () => {
  const schema = newSchema();
  const broker = newBroker({ url: poolerUrl as string, schema, pollInterval: '200ms' });
  const capabilities = await broker.open();
  expect(capabilities.wakeup).toEqual({ push: false, pollMs: 200 });
  expect(await broker.health()).toMatchObject({ state: 'degraded', detail: expect.stringContaining('pooler') });
  const session = await openSession(broker);
  const other = newBroker({ url: poolerUrl as string, schema });
  await other.open();
  const claiming = session.claim(claimOf({ waitMs: 10_000 }));
  await other.enqueue(Array.from({ length: 20 }, () => newTask()));
  expect((await claiming).length).toBeGreaterThan(0);
});

here(title('a direct connection is not taken for a pooler'), async () => {
  const broker = newBroker();
  expect((await broker.open()).wakeup.push).toBe(true);
});
