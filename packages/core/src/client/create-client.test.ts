import type { StandardSchemaV1 } from '@standard-schema/spec';
import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { until } from '../../test/manual-clock.ts';
import { everything, ScriptedBroker } from '../../test/scripted-broker.ts';
import type { EnqueueOutcome } from '../broker/broker.ts';
import type { Capabilities } from '../broker/capabilities.ts';
import { defineTask } from '../define-task.ts';
import { UnavailableError, ValidationError } from '../errors.ts';
import { createClient } from './create-client.ts';

const plain = defineTask({ name: 'plain' });
const mail = defineTask({ name: 'mail', input: z.object({ to: z.string().transform((to) => to.trim()) }) });

function setUp(capabilities: Partial<Capabilities> = {}) {
  const broker = new ScriptedBroker();
  broker.capabilities = { ...everything, ...capabilities };
  return { broker, client: createClient({ broker }) };
}

describe('enqueue', () => {
  it('stores the value before the schema’s transforms, which run once, in the worker', async () => {
    const { broker, client } = setUp();
    const handle = await client.enqueue(mail, { to: ' a ' });
    expect(broker.enqueued).toEqual([expect.objectContaining({ id: handle.id, input: '{"to":" a "}' })]);
    expect(handle.outcome).toEqual({ status: 'accepted' });
  });

  it('refuses a wrong input before any effect', async () => {
    const { broker, client } = setUp();
    await expect(client.enqueue(mail, { to: 5 } as never)).rejects.toMatchObject({
      code: 'VALIDATION',
      option: 'input',
    });
    await expect(client.enqueue(plain, { a: 1n })).rejects.toMatchObject({ reason: 'unstorable-value' });
    expect([broker.opened, broker.batches.length]).toEqual([0, 0]);
  });

  it('waits for an async schema', async () => {
    const late: StandardSchemaV1<string, string> = {
      '~standard': {
        version: 1,
        vendor: 'test',
        validate: async (value) => (value === 'free' ? { value } : { issues: [{ message: 'taken' }] }),
      },
    };
    const { broker, client } = setUp();
    const claimName = defineTask({ name: 'claim', input: late });
    await client.enqueue(claimName, 'free');
    await expect(client.enqueue(claimName, 'busy')).rejects.toThrow(/taken/);
    expect(broker.enqueued).toHaveLength(1);
  });

  it('opens the broker with the first call, once, and again after a failure', async () => {
    const { broker, client } = setUp();
    broker.onOpen = async () => {
      throw new UnavailableError('down');
    };
    await expect(client.enqueue(plain, 1)).rejects.toThrow('down');
    broker.onOpen = undefined;
    await Promise.all([client.enqueue(plain, 1), client.enqueue(plain, 2), client.capabilities()]);
    expect(broker.opened).toBe(2);
    expect(broker.batches.map((batch) => batch.length)).toEqual([2]);
  });

  it('sends a hundred concurrent calls as two batches', async () => {
    const { broker, client } = setUp();
    await Promise.all(Array.from({ length: 100 }, (_, index) => client.enqueue(plain, index)));
    await Promise.all(Array.from({ length: 100 }, (_, index) => client.enqueue(plain, index)));
    expect(broker.batches.map((batch) => batch.length)).toEqual([50, 50, 50, 50]);
  });

  it('gives the id that is there for a duplicate, and throws what was rejected', async () => {
    const { broker, client } = setUp();
    let outcome: EnqueueOutcome = { status: 'duplicate', existingId: 'other' };
    broker.onEnqueue = async () => [outcome];
    const handle = await client.enqueue(plain, 1, { key: 'k' });
    expect([handle.id, handle.outcome]).toEqual(['other', outcome]);
    const error = new ValidationError('too large');
    outcome = { status: 'rejected', error };
    await expect(client.enqueue(plain, 1)).rejects.toBe(error);
  });

  it('asks for headers at each call, and lets the call’s own win', async () => {
    const broker = new ScriptedBroker();
    let calls = 0;
    const client = createClient({ broker, headers: () => ({ call: String(++calls), tenant: 'a' }) });
    await client.enqueue(plain, 1);
    await client.enqueue(plain, 1, { headers: { tenant: 'b' } });
    expect(broker.enqueued.map(({ headers }) => headers)).toEqual([
      { call: '1', tenant: 'a' },
      { call: '2', tenant: 'b' },
    ]);
  });

  it.each<[string, Partial<Capabilities>, object]>([
    ['transaction', { transactions: false }, { transaction: {} }],
    ['key', { unique: false }, { key: 'k' }],
    ['keyUntil', { unique: { until: ['settled'], replace: true } }, { key: 'k', keyUntil: 'started' }],
    ['onConflict', { unique: { until: ['settled'], replace: false } }, { key: 'k', onConflict: 'replace' }],
  ])('refuses %s where the broker cannot honour it, before any effect (T21)', async (option, capabilities, options) => {
    const { broker, client } = setUp(capabilities);
    await expect(client.enqueue(plain, 1, options as never)).rejects.toMatchObject({
      code: 'UNSUPPORTED',
      option,
      adapter: 'scripted',
    });
    expect(broker.batches).toEqual([]);
    expect((await client.enqueue(plain, 1)).outcome.status).toBe('accepted');
  });
});

describe('enqueueMany', () => {
  it('stores all in one round trip, in order', async () => {
    const { broker, client } = setUp();
    const handles = await client.enqueueMany(plain, [{ input: 1 }, { input: 2, options: { id: 'two', priority: 9 } }]);
    expect(broker.batches).toHaveLength(1);
    expect(broker.enqueued.map(({ id }) => id)).toEqual(handles.map(({ id }) => id));
    expect(broker.enqueued[1]).toMatchObject({ id: 'two', priority: 9, input: '2' });
  });

  it('stores nothing when one is wrong', async () => {
    const { broker, client } = setUp();
    const wrong = [{ input: { to: 'a' } }, { input: { to: 5 } }] as never;
    await expect(client.enqueueMany(mail, wrong)).rejects.toMatchObject({ code: 'VALIDATION' });
    await expect(client.enqueueMany(plain, [{ input: 1 }, { input: 2, options: { id: '' } }])).rejects.toThrow(/id/);
    expect(broker.batches).toEqual([]);
  });

  it('does nothing for nothing', async () => {
    const { broker, client } = setUp();
    expect(await client.enqueueMany(plain, [])).toEqual([]);
    expect(broker.opened).toBe(0);
  });

  it('passes one transaction for all, in batches the broker takes, one after the other', async () => {
    const { broker, client } = setUp({ batch: { maxEnqueue: 2, maxClaim: 1, enqueueAtomic: true } });
    const transaction = { mine: true };
    let open = 0;
    broker.onEnqueue = async (batch) => {
      expect(++open).toBe(1);
      await Promise.resolve();
      open--;
      return batch.map(() => ({ status: 'accepted' }));
    };
    const items = [1, 2, 3, 4, 5].map((input) => ({ input }));
    expect(await client.enqueueMany(plain, items, { transaction: transaction as never })).toHaveLength(5);
    expect(broker.batches.map((batch) => batch.length)).toEqual([2, 2, 1]);
    expect(broker.transactions).toEqual([transaction, transaction, transaction]);
  });
});

describe('signals (BAD-06)', () => {
  it('has no effect when aborted already', async () => {
    const { broker, client } = setUp();
    await expect(client.enqueue(plain, 1, { signal: AbortSignal.abort() })).rejects.toMatchObject({
      code: 'ABORTED',
      why: 'caller',
    });
    expect(broker.batches).toEqual([]);
  });

  it('stops waiting when aborted on the way, and leaves no unhandled rejection', async () => {
    const { broker, client } = setUp();
    let fail = (_error: Error): void => {};
    broker.onEnqueue = () =>
      new Promise((_resolve, reject) => {
        fail = reject;
      });
    const controller = new AbortController();
    const given = expect(client.enqueue(plain, 1, { signal: controller.signal })).rejects.toMatchObject({
      code: 'ABORTED',
      retryable: 'idempotent-only',
    });
    await until(() => broker.batches.length === 1);
    controller.abort();
    await given;
    fail(new ValidationError('late'));
    await client.close();
  });
});

describe('close', () => {
  it('waits for what is in flight, then closes the broker, and refuses what comes later (SHD-07)', async () => {
    const { broker, client } = setUp();
    let answer = (): void => {};
    broker.onEnqueue = (batch) =>
      new Promise((resolve) => {
        answer = () => resolve(batch.map(() => ({ status: 'accepted' })));
      });
    const order: string[] = [];
    const handle = client.enqueue(plain, 1).then(() => order.push('accepted'));
    await until(() => broker.batches.length === 1);
    const closed = Promise.all([client.close(), client.close()]).then(() => order.push('closed'));
    await expect(client.enqueue(plain, 2)).rejects.toMatchObject({ code: 'CLOSED', reason: 'closed' });
    await expect(client.capabilities()).rejects.toMatchObject({ code: 'CLOSED' });
    await expect(client.queues.pause('q')).rejects.toMatchObject({ code: 'CLOSED' });
    answer();
    await Promise.all([handle, closed]);
    expect(order).toEqual(['accepted', 'closed']);
    expect(broker.closed).toBe(1);
  });

  it('leaves a broker open that others use, or that is not to be closed', async () => {
    const broker = new ScriptedBroker();
    const first = createClient({ broker });
    const kept = createClient({ broker, closeBroker: false });
    {
      await using second = createClient({ broker });
      await second.capabilities();
    }
    await kept.close();
    expect(broker.closed).toBe(0);
    await first.close();
    expect(broker.closed).toBe(1);
  });
});

describe('options', () => {
  it.each<[string, object]>([
    ['broker', {}],
    ['broker', { broker: Promise.resolve(new ScriptedBroker()) }],
    ['timeout', { broker: new ScriptedBroker(), timeout: '5s' }],
    ['enqueueTimeout', { broker: new ScriptedBroker(), enqueueTimeout: 'soon' }],
    ['headers', { broker: new ScriptedBroker(), headers: { trace: '1' } }],
  ])('refuses a wrong %s', (option, options) => {
    expect(() => createClient(options as never)).toThrow(expect.objectContaining({ code: 'VALIDATION', option }));
  });
});
