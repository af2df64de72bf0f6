import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { guardLogger, silentLogger, stderrLogger } from './logger.ts';

const written: string[] = [];

beforeEach(() => {
  written.length = 0;
  vi.spyOn(process.stderr, 'write').mockImplementation((text) => {
    written.push(String(text));
    return true;
  });
});

afterEach(() => {
  vi.restoreAllMocks();
});

describe('stderrLogger', () => {
  it('writes warnings and errors, one line each', () => {
    stderrLogger.debug('no');
    stderrLogger.info({ a: 1 }, 'no');
    stderrLogger.warn('plain');
    stderrLogger.error({ a: 1, text: 'two\nlines' }, 'with fields');
    expect(written).toEqual(['millrace warn: plain\n', 'millrace error: with fields {"a":1,"text":"two\\nlines"}\n']);
  });

  it('shows name and message of errors', () => {
    stderrLogger.warn({ error: new TypeError('x') }, 'failed');
    expect(written).toEqual(['millrace warn: failed {"error":{"name":"TypeError","message":"x"}}\n']);
  });

  it('never throws because of its fields', () => {
    const circular: { self?: unknown } = {};
    circular.self = circular;
    const hostile = {
      get a(): never {
        throw new Error('no');
      },
    };
    stderrLogger.warn({ circular }, 'first');
    stderrLogger.warn({ count: 1n }, 'second');
    stderrLogger.warn(hostile, 'third');
    expect(written).toEqual([
      'millrace warn: first {circular}\n',
      'millrace warn: second {count}\n',
      'millrace warn: third {a}\n',
    ]);
  });
});

describe('silentLogger', () => {
  it('says nothing', () => {
    for (const level of ['debug', 'info', 'warn', 'error'] as const) silentLogger[level]({ a: 1 }, 'x');
    expect(written).toEqual([]);
  });
});

describe('guardLogger', () => {
  it('passes everything on, bound to its logger', () => {
    const lines: unknown[] = [];
    class Own {
      prefix = 'own';
      debug(...line: unknown[]): void {
        lines.push([this.prefix, ...line]);
      }
      info = this.debug;
      warn = this.debug;
      error = this.debug;
    }
    const guarded = guardLogger(new Own());
    guarded.debug('text');
    guarded.error({ a: 1 }, 'fields');
    expect(lines).toEqual([
      ['own', 'text'],
      ['own', { a: 1 }, 'fields'],
    ]);
  });

  it('keeps what a logger throws to itself', () => {
    const broken = (): never => {
      throw new Error('the log is full');
    };
    const guarded = guardLogger({ debug: broken, info: broken, warn: broken, error: broken });
    expect(() => guarded.warn({ a: 1 }, 'x')).not.toThrow();
  });
});
