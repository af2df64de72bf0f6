import { describe, expect, it } from 'vitest';
import { everything, ScriptedBroker } from '../../test/scripted-broker.ts';
import { defineTask } from '../define-task.ts';
import { IndeterminateError, UnavailableError, ValidationError } from '../errors.ts';
import { createClient } from './create-client.ts';
import { EnqueueManyError } from './enqueue-many-error.ts';

const plain = defineTask({ name: 'plain' });
const items = (count: number) => Array.from({ length: count }, (_, input) => ({ input }));

function setUp(maxEnqueue = 1_000) {
  const broker = new ScriptedBroker();
  broker.capabilities = { ...everything, batch: { maxEnqueue, maxClaim: 100, enqueueAtomic: false } };
  return { broker, client: createClient({ broker, enqueueTimeout: 0 }) };
}

async function failureOf(work: Promise<unknown>): Promise<EnqueueManyError> {
  const error = await work.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  expect(error).toBeInstanceOf(EnqueueManyError);
  return error as EnqueueManyError;
}

describe('enqueueMany when some tasks are not stored', () => {
  it('gives the handles of those that are, and says why the others are not, in order', async () => {
    const { broker, client } = setUp();
    const tooLarge = new ValidationError('input and headers take 9 bytes', {
      option: 'input',
      reason: 'payload-too-large',
      adapter: 'scripted',
    });
    broker.onEnqueue = async ([, , , { id: fourth } = { id: '' }]) => [
      { status: 'accepted' },
      { status: 'rejected', error: tooLarge },
      { status: 'duplicate', existingId: 'there before' },
      { status: 'rejected', error: new ValidationError(`key of ${fourth}`) },
    ];
    const error = await failureOf(client.enqueueMany(plain, items(4)));
    expect(error).toMatchObject({
      code: 'VALIDATION',
      retryable: 'no',
      option: 'input',
      reason: 'payload-too-large',
      adapter: 'scripted',
      op: 'enqueue',
      cause: tooLarge,
      message: '2 of 4 tasks were not stored; the first: input and headers take 9 bytes',
    });
    const [first, second, third, fourth] = error.outcomes;
    expect(first).toMatchObject({ status: 'fulfilled', value: { id: broker.enqueued[0]?.id } });
    expect(second).toEqual({ status: 'rejected', reason: tooLarge });
    expect(third).toMatchObject({ status: 'fulfilled', value: { id: 'there before' } });
    expect(fourth).toMatchObject({ status: 'rejected', reason: { message: `key of ${broker.enqueued[3]?.id}` } });
  });

  it('gives the error itself when all were refused for one reason', async () => {
    const { broker, client } = setUp();
    const error = new ValidationError('the batch is refused as a whole');
    broker.onEnqueue = async (batch) => batch.map(() => ({ status: 'rejected', error }));
    await expect(client.enqueueMany(plain, items(3))).rejects.toBe(error);
  });

  it.each(['with', 'without'])(
    'keeps the handles of earlier batches when a later one fails (%s a transaction)',
    async (kind) => {
      const { broker, client } = setUp(2);
      const lost = new IndeterminateError('no answer');
      broker.onEnqueue = async (batch) => {
        if (broker.batches.length === 2) throw lost;
        return batch.map(() => ({ status: 'accepted' }));
      };
      const options = kind === 'with' ? { transaction: {} as never } : {};
      const error = await failureOf(client.enqueueMany(plain, items(7), options));
      expect(error).toMatchObject({ code: 'INDETERMINATE', retryable: 'idempotent-only', cause: lost });
      expect(
        error.outcomes.map((outcome) => (outcome.status === 'fulfilled' ? 'stored' : outcome.reason.code)),
      ).toEqual(['stored', 'stored', 'INDETERMINATE', 'INDETERMINATE', 'UNAVAILABLE', 'UNAVAILABLE', 'UNAVAILABLE']);
      expect(broker.batches).toHaveLength(2);
      expect(error.outcomes[6]).toMatchObject({ reason: { cause: lost, adapter: 'scripted' } });
    },
  );

  it('gives the error itself when nothing was stored', async () => {
    const { broker, client } = setUp(2);
    const down = new UnavailableError('down');
    broker.onEnqueue = async () => Promise.reject(down);
    await expect(client.enqueueMany(plain, items(5))).rejects.toBe(down);
  });
});

describe('items of enqueueMany', () => {
  it.each<[string, unknown]>([
    ['items', undefined],
    ['items', { input: 1 }],
    ['options', [1]],
    ['options', [null]],
    ['delay', [{ input: 1 }, { input: 2, delay: '5m' }]],
    ['id', [{ id: 'a', input: 1 }]],
    ['dealy', [{ input: 1, options: { dealy: '5m' } }]],
  ])('that make no sense are refused by name (%s), before any effect', async (option, wrong) => {
    const { broker, client } = setUp();
    await expect(client.enqueueMany(plain, wrong as never)).rejects.toMatchObject({ code: 'VALIDATION', option });
    expect(broker.batches).toEqual([]);
  });
});
