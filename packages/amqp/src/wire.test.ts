import { describe, expect, it } from 'vitest';
import { delayKey, delayUnitMs, longestPassMs } from './cascade.ts';
import { decodeMessage, encodeMessage, toMessage } from './message.ts';
import { queueNameOf } from './names.ts';

const task = { id: 'a', name: 'work', queue: 'line', headers: {}, priority: 4, delayMs: 0, maxAttempts: 3, version: 1 };

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

  it('without id, name or a readable header is corrupt', () => {
    const { content, options } = encodeMessage(toMessage(task, 1_000, 0));
    for (const change of [{ messageId: undefined }, { type: undefined }, { headers: { 'x-millrace': '[]' } }]) {
      const properties = { ...options, ...change } as never;
      expect(() => decodeMessage({ content: Buffer.from(content), properties }, 'line')).toThrow(/no task/);
    }
  });
});
