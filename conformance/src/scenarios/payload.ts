import { capability } from '../needs.ts';
import type { Scenario } from '../scenario.ts';
import { hostileNames, payloadCorpus } from './payload-corpus.ts';

/** PAY: what is stored comes back, to the byte. Encoding of values is in worker-payload.ts. */
export const payload: readonly Scenario[] = [
  {
    id: 'PAY-01',
    rule: 'R-PAY-1',
    title: 'payloads come back as the same text: spaces, key order, escapes, big numbers, astral characters and all',
    tier: 'core',
    patience: 2,
    async run(t) {
      const corpus = Object.entries(payloadCorpus());
      const tasks = corpus.map(([, input]) => t.task({ input }));
      await t.enqueueAll(tasks);
      const deliveries = await (await t.holder()).claimMany(tasks.length);
      const byId = new Map(deliveries.map((delivery) => [delivery.lease.taskId, delivery.input]));
      for (const [index, [label, input]] of corpus.entries()) {
        await t.cell(label, async () =>
          t.ok(byId.get(tasks[index]?.id ?? '') === input, 'the input delivered is the one enqueued'),
        );
      }
    },
  },
  {
    id: 'PAY-02',
    rule: 'R-PAY-2',
    title: 'absent is absent and null is null, for input and output',
    tier: 'core',
    async run(t) {
      const [absent, nothing] = [await t.enqueue(), await t.enqueue({ input: 'null' })];
      const holder = await t.holder();
      const deliveries = await holder.claimMany(2);
      for (const delivery of deliveries) {
        const expected = delivery.lease.taskId === nothing.id;
        t.equal(['input' in delivery, delivery.input], expected ? [true, 'null'] : [false, undefined], 'the input');
        await (expected ? holder.complete(delivery, 'null') : holder.complete(delivery));
      }
      if (!t.capabilities.tasks.get) return;
      for (const [task, expected] of [
        [absent, undefined],
        [nothing, 'null'],
      ] as const) {
        const record = await t.record(task.id);
        t.equal([record.input, record.output], [expected, expected], 'input and output of the record');
        t.equal(
          ['input' in record, 'output' in record],
          [expected !== undefined, expected !== undefined],
          'their presence',
        );
      }
    },
  },
  {
    id: 'PAY-03',
    rule: 'R-PAY-3',
    title: 'U+0000 survives, as an escape in JSON and in text of failures and log lines',
    tier: 'core',
    async run(t) {
      const input = '{"a\\u0000b":"\\u0000"}';
      const task = await t.enqueue({ input });
      const holder = await t.holder();
      const delivery = await holder.claimOne();
      t.equal(delivery.input, input, 'the input delivered');
      if (t.capabilities.reports.log) {
        const log = [{ level: 'warn', message: 'nul \0 in it', at: 5 }] as const;
        t.equal(await holder.report(delivery, { log }), 'applied', 'a log line with U+0000');
      }
      const failure = { kind: 'error', name: 'E\0', message: 'a\0b', stack: '\0' } as const;
      t.equal(await holder.fail(delivery, failure), 'applied', 'a failure with U+0000');
      if (!t.capabilities.tasks.get) return;
      const [error] = (await t.record(task.id)).errors;
      t.equal([error?.name, error?.message, error?.stack], ['E\0', 'a\0b', '\0'], 'the error kept');
    },
  },
  {
    id: 'PAY-07',
    rule: 'R-PAY-7',
    title: 'a payload of exactly maxBytes passes; one byte more is rejected and nothing is stored',
    tier: 'core',
    patience: 3,
    async run(t) {
      const { maxBytes } = t.capabilities.payload;
      // Two bytes per character: the limit is about bytes, not characters.
      const most = `"${'é'.repeat(Math.floor((maxBytes - 2) / 2))}${maxBytes % 2 === 0 ? '' : 'e'}"`;
      const holder = await t.holder();
      const accepted = await t.enqueue({ input: most });
      const over = await t.tryEnqueue(t.task({ input: `${most} ` }));
      t.equal(over.status, 'rejected', 'outcome of one byte more');
      if (over.status === 'rejected') {
        t.equal([over.error.code, over.error.reason], ['VALIDATION', 'payload-too-large'], 'code and reason');
      }
      const delivery = await holder.claimOne();
      t.equal(delivery.lease.taskId, accepted.id, 'the task delivered');
      t.ok(delivery.input === most, 'its input');
      await holder.claimsNothing();
    },
  },
  {
    id: 'PAY-08',
    rule: 'R-PAY-8',
    title: 'headers: a hundred of them, unicode values, names that differ in case, empty values',
    tier: 'core',
    async run(t) {
      const headers: Record<string, string> = {
        Case: 'a',
        case: 'b',
        empty: '',
        ünï: '🚀',
        constructor: 'c',
        'with space': '\n\t',
      };
      for (let index = 0; index < 100; index++) headers[`h${index}`] = 'x'.repeat(index);
      Object.defineProperty(headers, '__proto__', { value: 'own', enumerable: true });
      await t.enqueue({ headers });
      const delivery = await (await t.holder()).claimOne();
      t.equal(Object.entries(delivery.headers).sort(), Object.entries(headers).sort(), 'the headers');
    },
  },
  {
    id: 'PAY-09',
    rule: 'R-PAY-9',
    title: 'outputs, checkpoints, progress and errors are as faithful as inputs',
    tier: 'extended',
    needs: [capability('tasks.get', ({ tasks, reports }) => tasks.get || reports.checkpoint)],
    patience: 2,
    async run(t) {
      const holder = await t.holder();
      const { checkpoint, progress } = t.capabilities.reports;
      for (const [label, value] of Object.entries(payloadCorpus())) {
        await t.cell(label, async () => {
          const task = await t.enqueue();
          const delivery = await holder.claimOne();
          await holder.report(delivery, {
            ...(checkpoint && { checkpoint: value }),
            ...(progress && { progress: value }),
          });
          if (!t.capabilities.tasks.get) {
            // The next run is where a checkpoint shows.
            await holder.retry(delivery);
            const again = await holder.claimOne();
            t.ok(again.checkpoint === value, 'the checkpoint');
            await holder.complete(again);
            return;
          }
          t.equal(await holder.complete(delivery, value), 'applied', 'the completion');
          const record = await t.record(task.id);
          t.ok(record.output === value, 'the output');
          if (checkpoint) t.ok(record.checkpoint === value, 'the checkpoint');
          if (progress) t.ok(record.progress === value, 'the progress');
        });
      }
    },
  },
  {
    id: 'PAY-10',
    rule: 'R-PAY-10',
    title: 'random texts of every length up to 2 KB come back unchanged',
    tier: 'core',
    patience: 2,
    async run(t) {
      const random = seeded(20_251_120);
      const tasks = Array.from({ length: 300 }, () => t.task({ input: randomText(random) }));
      await t.enqueueAll(tasks);
      const byId = new Map(tasks.map((task) => [task.id, task.input]));
      const deliveries = await (await t.holder()).claimMany(300);
      const changed = deliveries.filter((each) => byId.get(each.lease.taskId) !== each.input);
      t.equal(
        changed.map((each) => byId.get(each.lease.taskId)),
        [],
        'inputs that came back changed',
      );
    },
  },
  {
    id: 'PAY-11',
    rule: 'R-PAY-11',
    title: 'nothing is shared: changing what was handed in or out changes neither the store nor another reader',
    tier: 'core',
    async run(t) {
      const headers: Record<string, string> = { kept: 'yes' };
      const task = { ...t.task(), headers };
      await t.enqueueAll([task]);
      headers.kept = 'changed by the producer';
      const holder = await t.holder();
      const delivery = await holder.claimOne();
      t.equal(delivery.headers, { kept: 'yes' }, 'headers after the producer changed its object');
      tamper(delivery.headers);
      await holder.retry(delivery);
      const again = await holder.claimOne();
      t.equal(again.headers, { kept: 'yes' }, 'headers after a consumer changed its object');
      if (!t.capabilities.tasks.get) return;
      const [one, other] = [await t.record(task.id), await t.record(task.id)];
      tamper(one.headers);
      tamper(one.errors as unknown as Record<string, unknown>);
      t.equal(
        [other.headers, (await t.record(task.id)).headers],
        [{ kept: 'yes' }, { kept: 'yes' }],
        'headers of other readers',
      );
      t.equal((await t.record(task.id)).errors.length, 1, 'errors of another reader');
    },
  },
  {
    id: 'PAY-13',
    rule: 'R-PAY-13',
    title: 'queues, names, groups and owners of every look are the same when they come out, and do not meet',
    tier: 'core',
    patience: 2,
    async run(t) {
      const holder = await t.holder();
      for (const hostile of hostileNames) {
        await t.cell(JSON.stringify(hostile).slice(0, 40), async () => {
          const task = await t.enqueue({ queue: hostile, name: hostile, group: hostile, owner: hostile });
          await t.enqueue({ queue: `${hostile.slice(0, 100)}2`, name: hostile });
          const delivery = await holder.claimOne({ queues: [hostile], names: [hostile] });
          const { queue, name, group, owner } = delivery;
          t.equal(
            [delivery.lease.taskId, queue, name, group, owner],
            [task.id, hostile, hostile, hostile, hostile],
            'the delivery',
          );
          t.equal(await holder.complete(delivery), 'applied', 'the completion');
          t.equal(await holder.claim({ queues: [hostile], names: [hostile] }), [], 'what else is there');
        });
      }
    },
  },
  {
    id: 'PAY-14',
    rule: 'R-PAY-14',
    title: 'names that differ only in case, normal form, spaces or escapes never collide',
    tier: 'core',
    async run(t) {
      const queues = [
        'queue',
        'Queue',
        'QUEUE',
        ' queue',
        'queue ',
        'qu\u00e9',
        'que\u0301',
        'a%20b',
        'a b',
        'a\\b',
        'a/b',
        'a.b',
        'a:b',
      ];
      const tasks = await t.enqueueMany(queues.length, (index) => ({ queue: queues[index] ?? '' }));
      const holder = await t.holder();
      for (const [index, queue] of queues.entries()) {
        const deliveries = await holder.claim({ queues: [queue], limit: 10 });
        t.equal(
          deliveries.map((each) => each.lease.taskId),
          [tasks[index]?.id],
          `tasks of ${JSON.stringify(queue)}`,
        );
      }
    },
  },
];

/** Changes an object that claims to be read-only, unless it is frozen. */
function tamper(object: object): void {
  try {
    Object.assign(object, { kept: 'changed', added: 'x' });
    if (Array.isArray(object)) object.length = 0;
  } catch {
    // Frozen: that is one way to keep the promise.
  }
}

/** A small, repeatable source of numbers in [0, 1) (mulberry32). */
function seeded(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
}

function randomText(random: () => number): string {
  const length = Math.floor(random() * 2_000);
  let text = '';
  while (text.length < length) {
    const kind = random();
    // JSON text: U+0000 and lone surrogates are escapes there, as the core writes them.
    if (kind < 0.5) text += String.fromCodePoint(32 + Math.floor(random() * 94));
    else if (kind < 0.7) text += String.fromCodePoint(0xa1 + Math.floor(random() * 0x5000));
    else if (kind < 0.8) text += String.fromCodePoint(0x1f300 + Math.floor(random() * 700));
    else text += ['\\', '"', "'", '\n', '\t', '\r', '%', '$1', ':x', '\u007f', '\u2028'][Math.floor(random() * 11)];
  }
  return JSON.stringify(text);
}
