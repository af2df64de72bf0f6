import { describe, expect, it } from 'vitest';
import { delayKey, delayUnitMs, longestPassMs } from './cascade.ts';
import { decodeMessage, encodeMessage, toMessage } from './message.ts';
import { queueNameOf, queueOfName } from './names.ts';

const task = { id: 'a', name: 'work', queue: 'line', headers: {}, priority: 4, delayMs: 0, maxAttempts: 3, version: 1 };

function idMadeAt(ms: number): string {
  const hex = ms.toString(16).padStart(12, '0');
  return `${hex.slice(0, 8)}-${hex.slice(8)}-7abc-8def-0123456789ab`;
}

function roundTrip(changes: object): unknown {
  const message = toMessage({ ...task, ...changes }, 1_000, 0);
  const { content, options } = encodeMessage(message);
  const properties = { ...options, headers: options.headers } as never;
  return decodeMessage({ content: Buffer.from(content), properties }, 'line');
}

describe('the key of a delay', () => {
  it('has the delay in units of 100 ms, rounded up, as six digits of base 16', () => {
    expect(delayKey(90_000, 'q')).toBe('0.0.0.3.8.4.q');
    expect(delayKey(1, 'q')).toBe('0.0.0.0.0.1.q');
    expect(delayKey(longestPassMs, 'q')).toBe('15.15.15.15.15.15.q');
    expect(delayKey(longestPassMs + delayUnitMs, 'q')).toBe('15.15.15.15.15.15.q');
  });
});

describe('the name of a queue', () => {
  it('keeps plain names, escapes what routing keys give a meaning, and shortens what is too long', () => {
    expect(queueNameOf('n', 'emails.high-1')).toBe('n.q.emails.high-1');
    expect(queueNameOf('n', 'a*#é')).toBe('n.q.a%2a%23%c3%a9');
    expect(queueNameOf('n', '%2a')).not.toBe(queueNameOf('n', '*'));
    expect(queueNameOf('n', '🚀'.repeat(60))).toMatch(/^n\.q\.~[0-9a-f]{64}$/);
  });

  it('says which queue it is, unless it was shortened or given by somebody', () => {
    for (const queue of ['emails.high-1', 'a*#é 🚀', '%2a'])
      expect(queueOfName('n', queueNameOf('n', queue))).toBe(queue);
    for (const name of [queueNameOf('n', 'x'.repeat(300)), 'elsewhere', 'n.q.%zz'])
      expect(queueOfName('n', name)).toBe(name);
  });
});

describe('a message', () => {
  it('brings back what was put in', () => {
    for (const input of [undefined, '{"a":"\\u0000"}', 'no JSON', 'b64:AAEC', 'b64:not canonical', '']) {
      expect(roundTrip({ input })).toMatchObject(input === undefined ? { id: 'a' } : { input });
    }
    const headers = JSON.parse('{"__proto__":"own","x":"y"}') as Record<string, string>;
    expect((roundTrip({ headers }) as { headers: object }).headers).toEqual(headers);
    const long = { big: 'x'.repeat(100_000) };
    expect(roundTrip({ headers: long, input: '"kept"' })).toMatchObject({ headers: long, input: '"kept"' });
    expect(roundTrip({ maxAttempts: Number.POSITIVE_INFINITY })).toMatchObject({
      maxAttempts: Number.POSITIVE_INFINITY,
    });
  });

  const madeAt = 1_900_000_000_123;
  const usual = { ...task, id: idMadeAt(madeAt), fresh: true, maxAttempts: 5 } as const;
  const direct = { direct: true };

  it('needs no header where everything is as usual', () => {
    const message = toMessage(usual, madeAt + 40, 0);
    expect(message).toMatchObject({ createdAt: madeAt, runAt: madeAt });
    const { content, options } = encodeMessage(message, direct);
    expect(options.headers).toBeUndefined();
    expect(decodeMessage({ content: Buffer.from(content), properties: options as never }, 'line')).toEqual(message);
    expect(encodeMessage(message).options.headers).toHaveProperty('x-millrace');
  });

  it.each([
    ['an id of the caller', { id: 'mine', fresh: undefined }, 0],
    ['an id made long before', { id: idMadeAt(madeAt - 5_000) }, 0],
    ['an id made by another clock', { id: idMadeAt(madeAt + 5_000) }, 0],
    ['another version', { version: 2 }, 0],
    ['other attempts', { maxAttempts: 6 }, 0],
    ['a delay', {}, 50],
    ['a group', { group: 'g' }, 0],
    ['headers', { headers: { trace: '1' } }, 0],
  ])('says with a header what is not: %s', (_what, changes, delayMs) => {
    const message = toMessage({ ...usual, ...changes } as never, madeAt + 40, delayMs);
    const { content, options } = encodeMessage(message, direct);
    expect(options.headers).toHaveProperty('x-millrace');
    expect(decodeMessage({ content: Buffer.from(content), properties: options as never }, 'elsewhere')).toEqual(
      message,
    );
  });

  it('of another producer was made at its timestamp, to the millisecond if its id says the same', () => {
    const read = (messageId: string, timestamp: unknown) =>
      decodeMessage({ content: Buffer.from('1'), properties: { messageId, type: 'work', timestamp } as never }, 'line');
    expect(read(idMadeAt(madeAt), Math.floor(madeAt / 1_000)).createdAt).toBe(madeAt);
    expect(read(idMadeAt(madeAt), 1_900_000_001).createdAt).toBe(1_900_000_001_000);
    expect(read('own', 1_900_000_000)).toMatchObject({ createdAt: 1_900_000_000_000, version: 1, maxAttempts: 5 });
    expect(read(`zzzzzzzz-zzzz-7${'z'.repeat(22)}`, undefined).createdAt).toBe(0);
  });

  it('without id, name or a readable header is corrupt', () => {
    const { content, options } = encodeMessage(toMessage(task, 1_000, 0));
    for (const change of [{ messageId: undefined }, { type: undefined }, { headers: { 'x-millrace': '[]' } }]) {
      const properties = { ...options, ...change } as never;
      expect(() => decodeMessage({ content: Buffer.from(content), properties }, 'line')).toThrow(/no task/);
    }
  });
});
