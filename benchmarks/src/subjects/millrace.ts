import { createClient, createWorker, defineTask, handle, typed } from '@millrace/core';
import { postgresBroker } from '@millrace/postgres';
import type { Payload } from '../payload.ts';
import type { Subject } from '../subject.ts';

const noop = defineTask({ name: 'noop', input: typed<Payload>() });

export const millrace: Subject = {
  name: 'millrace',
  kind: 'ours',
  batched: true,
  settings: { fast: 'as it comes: fenced settles, history kept', default: 'as it comes' },
  checks: {
    anyLeft: 'select exists (select 1 from millrace.task) as answer',
    left: 'select count(*)::int as answer from millrace.task',
    kept: "select count(*)::int as answer from millrace.finished where state = 'succeeded'",
  },
  async install(url) {
    const broker = postgresBroker({ url });
    await broker.open();
    await broker.close();
  },
  async producer(url) {
    const client = createClient({ broker: postgresBroker({ url }) });
    await client.capabilities();
    return {
      enqueue: (payload) => client.enqueue(noop, payload),
      enqueueMany: (payloads) =>
        client.enqueueMany(
          noop,
          payloads.map((input) => ({ input })),
        ),
      close: () => client.close(),
    };
  },
  async worker(url, _mode, concurrency, handler) {
    const worker = createWorker({ broker: postgresBroker({ url }), concurrency, handlers: [handle(noop, handler)] });
    await worker.start();
    return { stop: async () => void (await worker.stop()) };
  },
};
