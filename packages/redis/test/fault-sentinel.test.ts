import { expect, test } from 'vitest';
import { RecordedLoad } from './recorded-load.ts';
import { startBehindSentinels } from './sentinel-servers.ts';
import { until, watchUnhandled } from './support.ts';

watchUnhandled();

test('kill -9 of the master amid 1,000 tasks: a replica takes over, and with a copy of each none is lost', async () => {
  const begun = performance.now();
  const servers = await startBehindSentinels(2);
  console.log('set up', performance.now() - begun);
  const load = await RecordedLoad.start({
    broker: { url: servers.url, prefix: 'p', durability: { replicas: 1 }, operationTimeout: '5s' },
    queues: ['line'],
  });
  expect(load.capabilities.durability).toBe('replicated');
  const enqueueing = load.enqueue(1_000);
  await until(() => load.settled() > 300, '300 settled');
  await servers.master.stop('kill');
  const dead = process.hrtime.bigint();
  await until(async () => (await servers.masterPort()) !== servers.master.place.port, 'promotion');
  console.log('promoted after', Number(process.hrtime.bigint() - dead) / 1e6, load.errors());
  const ms = await load.untilSettledAfter(dead);
  console.log('settled after', ms, load.errors());
  await servers.master.start();
  await enqueueing;
  console.log('enqueued', load.errors(), performance.now() - begun);
  const result = await load.finish().finally(() => load.dump(dead));
  console.log(result.states, result.ranTwice, result.report.counts, load.errors(), performance.now() - begun);
});
