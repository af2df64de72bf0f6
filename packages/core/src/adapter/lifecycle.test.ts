import { describe, expect, it } from 'vitest';
import { turns } from '../../test/manual-clock.ts';
import { Lifecycle } from './lifecycle.ts';

function gate(): { readonly passed: Promise<void>; readonly pass: () => void; readonly fail: (error: Error) => void } {
  let pass = (): void => {};
  let fail = (_error: Error): void => {};
  const passed = new Promise<void>((resolve, reject) => {
    pass = resolve;
    fail = reject;
  });
  return { passed, pass, fail };
}

function counting(onOpen: () => Promise<number>, onClose: () => Promise<void> = async () => {}) {
  const calls = { open: 0, close: 0 };
  const lifecycle = new Lifecycle(
    'test',
    () => {
      calls.open++;
      return onOpen();
    },
    () => {
      calls.close++;
      return onClose();
    },
  );
  return { calls, lifecycle };
}

describe('Lifecycle', () => {
  it('opens once, however often it is asked', async () => {
    const { calls, lifecycle } = counting(async () => 5);
    expect(await Promise.all([lifecycle.open(), lifecycle.open()])).toEqual([5, 5]);
    expect([await lifecycle.open(), lifecycle.require('x'), calls.open]).toEqual([5, 5, 1]);
  });

  it('refuses calls before it is open and after it is closed', async () => {
    const opening = gate();
    const { lifecycle } = counting(async () => {
      await opening.passed;
      return 5;
    });
    const notOpen = expect.objectContaining({ code: 'CLOSED', reason: 'not-open', op: 'claim', adapter: 'test' });
    expect(() => lifecycle.require('claim')).toThrow(notOpen);
    const opened = lifecycle.open();
    expect(() => lifecycle.require('claim')).toThrow(notOpen);
    opening.pass();
    await opened;
    expect(lifecycle.require('claim')).toBe(5);
    await lifecycle.close();
    expect(() => lifecycle.require('claim')).toThrow(expect.objectContaining({ code: 'CLOSED', reason: 'closed' }));
    await expect(lifecycle.open()).rejects.toMatchObject({ code: 'CLOSED', reason: 'closed' });
    expect(lifecycle.closed).toBe(true);
  });

  it('may be opened again after an opening that failed', async () => {
    let failures = 1;
    const { calls, lifecycle } = counting(async () => {
      if (failures-- > 0) throw new Error('down');
      return 5;
    });
    await expect(lifecycle.open()).rejects.toThrow('down');
    expect(() => lifecycle.require('x')).toThrow(/call open\(\) first/);
    expect(await lifecycle.open()).toBe(5);
    expect(calls.open).toBe(2);
  });

  it('closes once', async () => {
    const { calls, lifecycle } = counting(async () => 5);
    await lifecycle.open();
    await Promise.all([lifecycle.close(), lifecycle.close()]);
    await lifecycle.close();
    expect(calls.close).toBe(1);
  });

  it('ends closed when it is closed during an opening, and lets that end first', async () => {
    const opening = gate();
    const order: string[] = [];
    const { lifecycle } = counting(
      async () => {
        await opening.passed;
        order.push('opened');
        return 5;
      },
      async () => void order.push('closed'),
    );
    const opened = lifecycle.open();
    const refused = expect(opened).rejects.toMatchObject({ code: 'CLOSED' });
    const closed = lifecycle.close();
    await turns();
    expect(order).toEqual([]);
    opening.pass();
    await closed;
    await refused;
    expect(order).toEqual(['opened', 'closed']);
    expect(() => lifecycle.require('x')).toThrow(/is closed/);
  });

  it('closes after an opening that fails meanwhile', async () => {
    const opening = gate();
    const { calls, lifecycle } = counting(async () => {
      await opening.passed;
      return 5;
    });
    const refused = expect(lifecycle.open()).rejects.toThrow('down');
    const closed = lifecycle.close();
    opening.fail(new Error('down'));
    await Promise.all([closed, refused]);
    expect(calls.close).toBe(1);
  });

  it('closes without ever having been open', async () => {
    const { calls, lifecycle } = counting(async () => 5);
    await lifecycle.close();
    expect(calls).toEqual({ open: 0, close: 1 });
  });
});
