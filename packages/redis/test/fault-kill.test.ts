import {
  checkHistory,
  type LocalServer,
  memoryJournal,
  Recorder,
  recordBroker,
  renderReport,
} from '@millrace/conformance';
import type { Broker } from '@millrace/core';
import { createClient, createWorker, defineTask, fixed, handle } from '@millrace/core';
import { expect, onTestFinished, test } from 'vitest';
import { redisBroker } from '../src/index.ts';
import { startServer } from './private-server.ts';
import { until, watchUnhandled } from './support.ts';

watchUnhandled();

async function killedServer(): Promise<LocalServer> {
  const server = await startServer();
  if (server === undefined) throw new Error('this test needs redis-server on the PATH');
  onTestFinished(() => server.close());
  return server;
}

test('kill -9 of the server amid 10,000 tasks, twice: none that was accepted is lost', async () => {
  const server = await killedServer();
  const url = `redis://127.0.0.1:${server.place.port}`;
  const journal = memoryJournal();
  const recorder = new Recorder({ journals: [journal] });
  const newBroker = (role: string): Broker =>
    recordBroker(redisBroker({ url, prefix: 'killed', operationTimeout: '20s' }), recorder, role);
  const [producing, working] = [newBroker('producer'), newBroker('worker')];
  const capabilities = await producing.open();
  expect(capabilities.durability).toBe('node');
  const runs = new Map<number, number>();
  const count = defineTask({ name: 'count', retry: fixed({ attempts: 20, delay: 0 }) });
  const worker = createWorker({
    broker: working,
    concurrency: 50,
    sessionTtl: '5s',
    middleware: [recorder.handlers('worker')],
    handlers: [
      handle(count, async (input) => {
        const number = input as number;
        runs.set(number, (runs.get(number) ?? 0) + 1);
      }),
    ],
  });
  onTestFinished(async () => void (await worker.stop()));
  const client = createClient({ broker: producing, enqueueTimeout: '30s' });
  await worker.start();
  const kills = (async () => {
    for (const after of [2_000, 6_000]) {
      await until(() => runs.size > after, `${after} runs`, 60_000);
      await server.restart('kill');
    }
  })();
  for (let from = 0; from < 10_000; from += 250) {
    const batch = Array.from({ length: 250 }, (_unused, index) => ({ input: from + index }));
    await client.enqueueMany(count, batch);
  }
  await kills;
  await until(() => runs.size === 10_000, 'all 10,000 runs', 60_000);
  await until(
    async () => (await working.tasks?.count({ states: ['pending', 'running', 'retrying', 'scheduled'] })) === 0,
    'everything at rest',
    30_000,
  );
  expect(await working.tasks?.count({ states: ['succeeded'] })).toBe(10_000);
  await worker.stop();
  await client.close();
  const report = checkHistory(journal.events, { capabilities });
  expect(report.status, renderReport(report)).not.toBe('fail');
  // A batch whose answer was lost with the server is sent again, and met: at most one for each kill.
  expect(report.counts.accepted).toBeGreaterThanOrEqual(10_000 - 2 * 250);
});
