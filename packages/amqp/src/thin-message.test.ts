import type { TaskHeaders } from '@millrace/core';
import { describe, expect, it } from 'vitest';
import { decodeMessage, encodeMessage, toMessage } from './message.ts';
import { findReservedHeader, readThin, thinMessage } from './thin-message.ts';

const task = { id: 'order 7', name: 'work', queue: 'line', priority: 7 };

describe('a thin message', () => {
  it('says what it brings and nothing else, over the wire as well', () => {
    for (const uncommitted of [false, true]) {
      const thin = thinMessage({ ...task, delayMs: 500, uncommitted }, 'postgres');
      const { content, options } = encodeMessage(toMessage(thin, 1_000, 500));
      const message = decodeMessage({ content: Buffer.from(content), properties: options as never }, 'line');
      expect(readThin(message.headers)).toEqual({ id: 'order 7', kind: 'postgres', uncommitted });
      expect(message).toMatchObject({ name: 'work', priority: 7, maxAttempts: Number.POSITIVE_INFINITY });
      expect(message.input).toBeUndefined();
      expect(message.id).not.toBe('order 7');
    }
  });

  it('is told from a task, whatever that has for headers', () => {
    const others = [{}, { 'x-millrace-guard': 'postgres' }, { 'x-millrace-guard': 5, 'x-millrace-task': 7 }];
    for (const headers of others) expect(readThin(headers as TaskHeaders)).toBeUndefined();
  });

  it('cannot be made by giving a task its headers', () => {
    expect(findReservedHeader({ trace: 'x', 'x-millrace': 'y' })).toBeUndefined();
    expect(findReservedHeader({ 'x-millrace-task': 'x' })).toMatchObject({ option: 'headers', code: 'VALIDATION' });
  });
});
