import { describe, expect, it } from 'vitest';
import { ScriptedBroker } from '../test/scripted-broker.ts';
import { checkBroker, useBroker } from './broker-users.ts';

describe('useBroker', () => {
  it('closes the broker with its last user, in whatever order they end', async () => {
    const broker = new ScriptedBroker();
    const [first, second, third] = [useBroker(broker), useBroker(broker), useBroker(broker)];
    await second();
    await first();
    expect(broker.closed).toBe(0);
    await third();
    expect(broker.closed).toBe(1);
  });

  it('counts a user once, however often it lets go', async () => {
    const broker = new ScriptedBroker();
    const [first, second] = [useBroker(broker), useBroker(broker)];
    await first();
    await first();
    expect(broker.closed).toBe(0);
    await second();
    await second();
    expect(broker.closed).toBe(1);
  });

  it('waits for the closing on every call', async () => {
    const broker = new ScriptedBroker();
    const order: string[] = [];
    let finish = (): void => {};
    broker.onClose = () =>
      new Promise((resolve) => {
        finish = () => {
          order.push('closed');
          resolve();
        };
      });
    const release = useBroker(broker);
    const both = [release().then(() => order.push('first')), release().then(() => order.push('second'))];
    finish();
    await Promise.all(both);
    expect(order).toEqual(['closed', 'first', 'second']);
  });

  it('keeps brokers apart', async () => {
    const [one, other] = [new ScriptedBroker(), new ScriptedBroker()];
    const release = useBroker(one);
    useBroker(other);
    await release();
    expect([one.closed, other.closed]).toEqual([1, 0]);
  });
});

describe('checkBroker', () => {
  it.each<[unknown, RegExp]>([
    [undefined, /got undefined$/],
    [null, /got null$/],
    ['memory:', /got string$/],
    [{}, /got object$/],
    [Promise.resolve(new ScriptedBroker()), /got a promise; await it$/],
  ])('refuses %s', (value, message) => {
    expect(() => checkBroker(value)).toThrow(expect.objectContaining({ code: 'VALIDATION', option: 'broker' }));
    expect(() => checkBroker(value)).toThrow(message);
  });
});
