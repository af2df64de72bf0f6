import { createHash } from 'node:crypto';
import { expect, test } from 'vitest';
import { Keys } from './keys.ts';

/** What a cluster hashes of a key: what is between the first brace and the next closing one, unless it is empty. */
function tagOf(key: string): string {
  const open = key.indexOf('{');
  const close = key.indexOf('}', open + 1);
  return open >= 0 && close > open + 1 ? key.slice(open + 1, close) : key;
}

test('all keys of a queue have one tag, whatever the queue is called', () => {
  for (const queue of ['line', '}', '{', '{}', 'a}b', '%7D', 'ünï 🚀', '}:task', 'x'.repeat(255)]) {
    const base = new Keys('p').queue(queue);
    expect(tagOf(`${base}:ready:a name {with} braces`)).toBe(tagOf(base));
    expect(tagOf(base)).not.toBe(base);
  }
});

test('queues that are called differently have different keys', () => {
  const names = ['a', 'A', 'a}', 'a%7D', 'a{', '{a}', 'a:task', ' a'];
  const keys = names.map((name) => createHash('sha1').update(new Keys('p').queue(name)).digest('hex'));
  expect(new Set(keys).size).toBe(names.length);
});
