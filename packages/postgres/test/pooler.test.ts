import pg from 'pg';
import { expect, onTestFinished, test } from 'vitest';
import { claimOf, newTask } from './builders.ts';
import { newBroker, newSchema, openSession, watchUnhandled } from './support.ts';

watchUnhandled();

const poolerUrl = process.env.MILLRACE_TEST_PGBOUNCER_URL;
const sessionsUrl = process.env.MILLRACE_TEST_PGBOUNCER_SESSIONS_URL;
/** With three processes, which are nobody else's. */
const smallUrl = process.env.MILLRACE_TEST_PGBOUNCER_SMALL_URL;
const missing = process.env.MILLRACE_TEST_PGBOUNCER_MISSING;

/** Runs where there is such a pooler, and says why it does not where there is none. */
function behind(url: string | undefined, variable: string, title: string, body: (url: string) => Promise<void>): void {
  if (url === undefined) test.skip(`${title} [${missing ?? `${variable} is not set`}]`, () => {});
  else test(title, () => body(url));
}

const behindTransactions = behind.bind(undefined, poolerUrl, 'MILLRACE_TEST_PGBOUNCER_URL');
const behindFew = behind.bind(undefined, smallUrl, 'MILLRACE_TEST_PGBOUNCER_SMALL_URL');
const behindSessions = behind.bind(undefined, sessionsUrl, 'MILLRACE_TEST_PGBOUNCER_SESSIONS_URL');

behindTransactions('a pooler is found out: polling instead of messages, and the broker says so', async (url) => {
  const schema = newSchema();
  const broker = newBroker({ url, schema, pollInterval: '200ms' });
  const capabilities = await broker.open();
  expect(capabilities.wakeup).toEqual({ push: false, pollMs: 200 });
  expect(await broker.health()).toMatchObject({ state: 'degraded', detail: expect.stringContaining('pooler') });
  const session = await openSession(broker);
  const other = newBroker({ url, schema });
  await other.open();
  const claiming = session.claim(claimOf({ waitMs: 10_000 }));
  await other.enqueue(Array.from({ length: 20 }, () => newTask()));
  expect((await claiming).length).toBeGreaterThan(0);
});

for (const pooler of ['auto', true] as const) {
  behindFew(`no listener is left in a process that others use: pooler ${pooler}`, async (url) => {
    const brokers = Array.from({ length: 5 }, () => newBroker({ url, pooler }));
    await Promise.all(brokers.map((broker) => broker.open()));
    const sessions = await Promise.all(brokers.map((broker) => openSession(broker)));
    await Promise.all(sessions.map((session) => session.claim(claimOf({ waitMs: 10 }))));
    await Promise.all(brokers.map((broker) => broker.close()));
    expect(await listenersBehind(url)).toEqual([]);
  });
}

behindSessions('a pooler that keeps a client its process lets messages through', async (url) => {
  const schema = newSchema();
  const broker = newBroker({ url, schema, pollInterval: '1h' });
  expect((await broker.open()).wakeup.push).toBe(true);
  const session = await openSession(broker);
  const other = newBroker({ url, schema });
  await other.open();
  const claiming = session.claim(claimOf({ waitMs: 60_000 }));
  await other.enqueue([newTask({ id: 'told' })]);
  expect((await claiming)[0]?.lease.taskId).toBe('told');
});

test('a direct connection is not taken for a pooler', async () => {
  const broker = newBroker();
  expect((await broker.open()).wakeup.push).toBe(true);
});

/** Channels on which the three processes behind a pooler listen. */
async function listenersBehind(url: string): Promise<unknown[]> {
  const pool = new pg.Pool({ connectionString: url, max: 3 });
  onTestFinished(() => pool.end());
  const clients = await Promise.all(Array.from({ length: 3 }, () => pool.connect()));
  try {
    // Each stays in its transaction until all are, so that no process is asked twice.
    await Promise.all(clients.map((client) => client.query('begin')));
    const answers = await Promise.all(
      clients.map((client) => client.query('select pg_listening_channels() as channel')),
    );
    await Promise.all(clients.map((client) => client.query('commit')));
    return answers.flatMap(({ rows }) => rows.map(({ channel }) => channel));
  } finally {
    for (const client of clients) client.release();
  }
}
