import { isMillraceError } from '@millrace/core';
import { hire, job, producer } from '../context/crew.ts';
import type { ScenarioContext } from '../context/scenario-context.ts';
import type { Scenario } from '../scenario.ts';

/** PAY and BAD: values on their whole way from the producer's object to the handler's and back. */
export const workerPayload: readonly Scenario[] = [
  {
    id: 'PAY-04',
    rule: 'R-PAY-4',
    title: 'values arrive equal: own __proto__, constructor, empty and numeric keys, -0, surrogates, deep nesting',
    tier: 'core',
    async run(t) {
      const deep = Array.from({ length: 199 }).reduce<unknown>((inner) => [inner], 'bottom');
      const values: unknown[] = [
        JSON.parse('{"__proto__":{"polluted":true},"constructor":1,"":2,"10":3,"toString":4}'),
        [-0, 0, 1e308, 2 ** 53, -5e-324, 0.1],
        'lone \ud800 and nul \0',
        deep,
        null,
        '',
        [],
        {},
        { nested: { undefined: undefined, null: null } },
      ];
      const expected = values.map((value) => (value === values.at(-1) ? { nested: { null: null } } : value));
      const received = new Map<string, unknown>();
      const { definition, handler } = job((input, { id }) => {
        received.set(id, input);
        return input;
      });
      await hire(t, [handler]);
      const client = producer(t);
      const handles = await client.enqueueMany(
        definition,
        values.map((input) => ({ input })),
      );
      await t.eventually(() => received.size === values.length, 'all runs');
      for (const [index, handle] of handles.entries()) {
        t.equal(received.get(handle.id), expected[index], 'the input');
        if (t.capabilities.tasks.wait)
          t.equal(await t.soon(handle.result(), 'the result'), expected[index], 'the result');
      }
      t.equal(Object.hasOwn({}, 'polluted') || 'polluted' in {}, false, 'pollution of Object.prototype');
    },
  },
  {
    id: 'PAY-05',
    rule: 'R-PAY-5',
    title: 'what JSON would change silently is refused before anything is stored',
    tier: 'core',
    async run(t) {
      const circular: { self?: unknown } = {};
      circular.self = circular;
      const values: Record<string, unknown> = {
        'a bigint': 1n,
        NaN: { deep: [Number.NaN] },
        infinity: Number.POSITIVE_INFINITY,
        'a function': { run: () => {} },
        'a symbol': [Symbol('s')],
        'a map': new Map(),
        'a set': { set: new Set([1]) },
        'nested bytes': { bytes: new Uint8Array(1) },
        'a circular structure': circular,
        'undefined in an array': [undefined],
      };
      const { definition } = job(() => {});
      const client = producer(t);
      for (const [what, value] of Object.entries(values)) {
        const error = await t.refuses(
          () => client.enqueue(definition, value),
          { code: 'VALIDATION', reason: 'unstorable-value' },
          what,
        );
        t.equal(error.option, 'input', `the option named for ${what}`);
      }
      await t.refuses(
        () => client.enqueueMany(definition, [{ input: 1 }, { input: 1n }]),
        'VALIDATION',
        'a batch with one of them',
      );
      await (await t.holder()).claimsNothing();
    },
  },
  {
    id: 'PAY-06',
    rule: 'R-PAY-6',
    title: 'bytes are bytes: all 256 values, none, and a large buffer come back identical',
    tier: 'core',
    patience: 2,
    async run(t) {
      const size = Math.min(512 * 1_024, Math.floor(t.capabilities.payload.maxBytes / 2));
      const buffers = [
        Uint8Array.from({ length: 256 }, (_unused, byte) => byte),
        new Uint8Array(),
        Uint8Array.from({ length: size }, (_unused, index) => (index * 7) % 256),
        Buffer.from('a view of a larger buffer').subarray(2, 6),
      ];
      const received = new Map<string, unknown>();
      const { definition, handler } = job((input, { id }) => {
        received.set(id, input);
        return input;
      });
      await hire(t, [handler]);
      const handles = await producer(t).enqueueMany(
        definition,
        buffers.map((input) => ({ input })),
      );
      await t.eventually(() => received.size === buffers.length, 'all runs');
      for (const [index, handle] of handles.entries()) {
        const [sent, got] = [buffers[index] ?? new Uint8Array(), received.get(handle.id)];
        t.ok(got instanceof Uint8Array && Buffer.compare(got, sent) === 0, `the ${sent.length} bytes received`);
        if (!t.capabilities.tasks.wait) continue;
        const result = await t.soon(handle.result(), 'the result');
        t.ok(result instanceof Uint8Array && Buffer.compare(result, sent) === 0, `the ${sent.length} bytes returned`);
      }
    },
  },
  {
    id: 'PAY-15',
    rule: 'R-PAY-15',
    title: 'an output, checkpoint or progress of payload.maxBytes passes; one byte more is refused, and repeats no run',
    tier: 'core',
    patience: 3,
    run: largeResults,
  },
  {
    id: 'BAD-01',
    rule: 'R-BAD-1',
    title: 'unknown option names are refused: a typo does not silently change behaviour',
    tier: 'core',
    async run(t) {
      const { definition } = job(() => {});
      const client = producer(t);
      for (const typo of ['dealy', 'prioritiy', 'maxAttempts', 'delayMs', '']) {
        const options = { [typo]: 1 };
        await t.refuses(
          () => client.enqueue(definition, null, options),
          { code: 'VALIDATION', reason: 'unknown-option', option: typo },
          `the option '${typo}'`,
        );
      }
      await t.refuses(
        () => client.enqueue(definition, null, { keyUntil: 'started' }),
        { code: 'VALIDATION', option: 'keyUntil' },
        'keyUntil without a key',
      );
      await t.refuses(
        () => client.enqueue(definition, null, { delay: 1, runAt: new Date() }),
        { code: 'VALIDATION', option: 'runAt' },
        'delay together with runAt',
      );
      await (await t.holder()).claimsNothing();
    },
  },
  {
    id: 'BAD-04',
    rule: 'R-BAD-4',
    title: 'an output that cannot be stored ends the task as failed, kind invalid, and the worker goes on',
    tier: 'core',
    async run(t) {
      const ran: unknown[] = [];
      const { definition, handler } = job((input) => {
        ran.push(input);
        return input === 'bad' ? { run: () => {} } : input;
      });
      const { worker } = await hire(t, [handler]);
      const client = producer(t);
      const [bad, good] = [await client.enqueue(definition, 'bad'), await client.enqueue(definition, 'good')];
      if (!t.capabilities.tasks.get) {
        await t.eventually(() => ran.length >= 2, 'two runs');
        await t.soon(worker.stop(), 'the stop of the worker');
        await (await t.holder()).claimsNothing();
        t.equal(ran.sort(), ['bad', 'good'], 'runs, each once');
        return;
      }
      await t.eventually(async () => (await t.record(good.id)).state === 'succeeded', 'the end of the good one');
      await t.eventually(async () => (await t.record(bad.id)).state === 'failed', 'the end of the bad one');
      const { failure, attempt, output } = await t.record(bad.id);
      t.equal([failure, attempt, output], ['invalid', 1, undefined], 'failure, attempt and output');
    },
  },
  {
    id: 'BAD-08',
    rule: 'R-BAD-8',
    title: 'two handlers for one name are refused; a task whose handler was taken away waits for one that has it',
    tier: 'core',
    async run(t) {
      const ran: string[] = [];
      const [first, second] = [job(() => ran.push('first')), job(() => ran.push('second'))];
      const other = job(() => ran.push('other'), { name: 'other' });
      await t.refuses(
        () => hire(t, [first.handler, second.handler]),
        { code: 'VALIDATION', option: 'handlers' },
        'two handlers for one name',
      );
      await t.refuses(() => hire(t, []), { code: 'VALIDATION', option: 'handlers' }, 'no handlers');
      if (!t.capabilities.claimByName) return t.notObservable('a handler taken away', 'the worker hands others back');
      const client = producer(t);
      await client.enqueue(first.definition, null);
      await client.enqueue(other.definition, null);
      const without = await hire(t, [other.handler]);
      await t.eventually(() => ran.length === 1, 'the run of the other task');
      await t.soon(without.worker.stop(), 'the stop of the worker');
      t.equal(ran, ['other'], 'what ran without the handler');
      await hire(t, [first.handler]);
      await t.eventually(() => ran.length === 2, 'the run once the handler is there');
      t.equal(ran, ['other', 'first'], 'what ran');
    },
  },
  {
    id: 'BAD-09',
    rule: 'R-BAD-9',
    title: 'error messages name the option and the type received, and never print payloads or credentials',
    tier: 'core',
    async run(t) {
      const secret = 'correct horse battery staple';
      const { definition } = job(() => {});
      const client = producer(t);
      const errors = [
        await t.refuses(() => client.enqueue(definition, { secret, bad: 1n }), 'VALIDATION', 'an input with a bigint'),
        await t.refuses(
          () => client.enqueue(definition, secret.repeat(100_000)),
          'VALIDATION',
          'an input that is too large',
        ),
        await t.refuses(
          () => client.enqueue(definition, null, { key: `${secret}\0` }),
          'VALIDATION',
          'a key with U+0000',
        ),
        await t.refuses(
          () => client.enqueue(definition, null, { headers: { a: { secret } as unknown as string } }),
          'VALIDATION',
          'a header that is no string',
        ),
      ];
      for (const error of errors) {
        t.ok(!error.message.includes(secret), 'the message does not print what was passed');
        t.ok(
          error.option !== undefined && error.message.includes(error.option.replace(/\W.*/, '')),
          'the message names the option',
        );
      }
      const { password } = new URL(t.harness.url === undefined || t.harness.url === '' ? 'none://none' : t.harness.url);
      if (password !== '') t.ok(!errors.some((error) => error.message.includes(password)), 'no credential is printed');
    },
  },
];

/** Beyond this no scenario makes a value as large as allowed. */
const largestTried = 16_777_216;

async function largeResults(t: ScenarioContext): Promise<void> {
  const { maxBytes } = t.capabilities.payload;
  t.require(maxBytes <= largestTried, `payload.maxBytes is ${maxBytes}; the suite tries up to ${largestTried}`);
  // A text in JSON has two quotation marks.
  const [fits, tooLarge] = [maxBytes - 2, maxBytes - 1].map((length) => 'x'.repeat(length));
  const ran = new Map<unknown, number>();
  const refusals: unknown[] = [];
  const { definition, handler } = job(async (input, { checkpoint, progress }) => {
    ran.set(input, (ran.get(input) ?? 0) + 1);
    const refused = async (call: () => unknown): Promise<void> => {
      try {
        await call();
        refusals.push(`${input} was taken`);
      } catch (error) {
        refusals.push(isMillraceError(error) ? [error.code, error.reason, error.option] : error);
      }
    };
    switch (input) {
      case 'an output that fits':
        return fits;
      case 'an output':
        return tooLarge;
      case 'a checkpoint':
        await refused(() => checkpoint.set(tooLarge));
        if (t.capabilities.reports.checkpoint) await checkpoint.set(fits);
        return 'done';
      case 'progress':
        await refused(() => progress(tooLarge));
        if (t.capabilities.reports.progress) progress(fits);
        return 'done';
      default:
        // The refusal ends the run like any other error of a handler.
        return checkpoint.set(tooLarge);
    }
  });
  const { worker } = await hire(t, [handler], { concurrency: 2 });
  const expected = {
    'an output that fits': { runs: 1, state: 'succeeded', failure: undefined },
    'an output': { runs: 1, state: 'failed', failure: 'invalid' },
    'a checkpoint': { runs: 1, state: 'succeeded', failure: undefined },
    progress: { runs: 1, state: 'succeeded', failure: undefined },
    'a refusal nobody catches': { runs: 3, state: 'failed', failure: 'error' },
  } as const;
  const inputs = Object.keys(expected) as (keyof typeof expected)[];
  const client = producer(t);
  const handles = await client.enqueueMany(
    definition,
    inputs.map((input) => ({ input })),
  );
  if (t.capabilities.tasks.get) {
    for (const [index, input] of inputs.entries()) {
      const { id } = t.defined(handles[index], 'a handle');
      const ended = async (): Promise<boolean> => (await t.record(id)).finishedAt !== undefined;
      await t.eventually(ended, `the end of the task with ${input}`);
      const { state, failure, output, checkpoint, progress } = await t.record(id);
      t.equal([state, failure], [expected[input].state, expected[input].failure], `the end of the task with ${input}`);
      const kept = [output, checkpoint, progress].map((value) => value?.length ?? 0);
      t.ok(Math.max(...kept) <= maxBytes, `nothing larger than allowed is kept of the task with ${input}`);
      if (input === 'an output that fits') t.equal(output?.length, maxBytes, 'the length of the output that fits');
    }
  } else {
    await t.eventually(() => inputs.every((input) => (ran.get(input) ?? 0) >= expected[input].runs), 'all runs');
    await t.soon(worker.stop(), 'the stop of the worker');
    await (await t.holder()).claimsNothing();
  }
  t.equal(
    inputs.map((input) => [input, ran.get(input)]),
    inputs.map((input) => [input, expected[input].runs]),
    'runs of each',
  );
  const refusal = (option: string): unknown[] => ['VALIDATION', 'payload-too-large', option];
  const options = refusals.map((each) => JSON.stringify(each)).sort();
  t.equal(
    options,
    [refusal('checkpoint'), refusal('progress')].map((each) => JSON.stringify(each)),
    'the refusals',
  );
}
