import {
  type Adapter,
  type Broker,
  connect,
  createClient,
  createWorker,
  defineTask,
  handle,
  typed,
} from '@millrace/core';
import type { Payload } from '../payload.ts';
import type { Subject } from '../subject.ts';

const noop = defineTask({ name: 'noop', input: typed<Payload>() });

const asItComes = 'as it comes';

/** Ours on any server: the same code, another adapter and URL. */
export function millraceWith(
  load: () => Adapter,
  { settings, probe, guarantees }: { readonly settings: string } & Pick<Subject, 'probe' | 'guarantees'>,
): Subject {
  const open = (url: string): Promise<Broker<unknown>> => connect(url, { adapters: [load()] });
  return {
    name: 'millrace',
    kind: 'ours',
    batched: true,
    settings: { fast: `${asItComes}: ${settings}`, default: asItComes },
    guarantees,
    probe,
    async install(url) {
      // A worker as well as a client: whatever either creates at first use is there before the clock starts.
      const worker = createWorker({ broker: await open(url), handlers: [handle(noop, async () => {})] });
      await worker.start();
      await worker.stop();
    },
    async producer(url) {
      const client = createClient({ broker: await open(url) });
      return {
        enqueue: (payload) => client.enqueue(noop, payload),
        enqueueMany: (payloads) =>
          client.enqueueMany(
            noop,
            payloads.map((input) => ({ input })),
          ),
        enqueueLater: (tasks) =>
          client.enqueueMany(
            noop,
            tasks.map(({ payload, delayMs }) => ({ input: payload, options: { delay: delayMs } })),
          ),
        close: () => client.close(),
      };
    },
    async worker(url, _mode, concurrency, handler) {
      const worker = createWorker({ broker: await open(url), concurrency, handlers: [handle(noop, handler)] });
      await worker.start();
      return { stop: async () => void (await worker.stop()) };
    },
    async claimer(url) {
      const broker = await open(url);
      const session = await broker.openSession({ instance: 'bench', host: 'bench', ttlMs: 60_000, onSignal: () => {} });
      const request = { queues: [noop.queue], names: [noop.name], waitMs: 0 };
      return {
        claim: async (limit) => (await session.claim({ ...request, limit })).length,
        close: () => broker.close(),
      };
    },
  };
}

/** The adapter a package exports. @throws when there is none, which the report then says */
export function adapterOf(name: string, loaded: object): Adapter {
  const { adapter } = loaded as { readonly adapter?: Adapter };
  if (adapter === undefined) throw new Error(`${name} exports no adapter`);
  return adapter;
}
