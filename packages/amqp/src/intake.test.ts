import { EventEmitter } from 'node:events';
import { type Clock, systemClock, type TimerHandle } from '@millrace/core';
import type { Channel, ConsumeMessage } from 'amqplib';
import { describe, expect, it } from 'vitest';
import type { Carrier, Parcel } from './carrier.ts';
import { Intake } from './intake.ts';
import { Memory } from './memory.ts';
import type { Topology } from './topology.ts';

/** An intake on a channel that brings what the test says, and a way back that is open or not. */
function newIntake() {
  const acknowledged: number[] = [];
  let looks = 0;
  let parked: () => void = () => {};
  const channel = Object.assign(new EventEmitter(), {
    prefetch: async () => {},
    checkQueue: async () => {
      looks += 1;
      return { messageCount: 0 };
    },
    consume: async () => {
      setImmediate(parked);
      return {};
    },
    cancel: async () => {},
    get: async () => false,
    ack: (message: ConsumeMessage) => acknowledged.push(message.fields.deliveryTag),
  });
  const sent: Parcel[] = [];
  let isOpen = false;
  let tried: () => void = () => {};
  const carrier = {
    isGuarded: false,
    send: async (_op: string, parcels: readonly Parcel[]) => {
      if (isOpen) sent.push(...parcels);
      // Once it is known here, too.
      setImmediate(tried);
      return parcels.map(() => (isOpen ? undefined : new Error('the server is short of memory')));
    },
  } as unknown as Carrier;
  const timers = new Set<TimerHandle>();
  const clock: Clock = {
    ...systemClock,
    setTimer(work, ms, options) {
      const timer = systemClock.setTimer(
        () => {
          timers.delete(timer);
          work();
        },
        ms,
        options,
      );
      timers.add(timer);
      return timer;
    },
    clearTimer(timer) {
      timers.delete(timer);
      systemClock.clearTimer(timer);
    },
  };
  const intake = new Intake({
    sessionId: 'session',
    worker: 'worker',
    topology: { queueType: 'quorum', ensure: async () => 'line' } as unknown as Topology,
    carrier,
    memory: new Memory(),
    clock,
    openChannel: async () => channel as unknown as Channel,
    onLost: () => {},
  });
  return {
    claim: async (waitMs = 0) => {
      const claimed = await intake.claim({ queues: ['line'], names: ['work'], limit: 10, waitMs });
      return claimed.map(({ lease }) => lease.taskId);
    },
    bring(tag: number, id: string, name = 'work') {
      channel.emit('delivery', {
        content: Buffer.from('1'),
        fields: { deliveryTag: tag, redelivered: false, consumerTag: 'claim' },
        properties: { messageId: id, type: name, headers: {}, contentType: 'application/json' },
      });
    },
    /** Whoever claims has looked and sleeps. */
    parked: () => new Promise<void>((resolve) => (parked = resolve)),
    looks: () => looks,
    wayBackTried: () => new Promise<void>((resolve) => (tried = resolve)),
    openWayBack: () => (isOpen = true),
    end: () => intake.abandon(),
    pending: () => timers.size,
    sent,
    acknowledged,
  };
}

describe('a task that came although nobody asked for it', () => {
  it('stays for the next claim while it cannot go back', async () => {
    const { claim, bring, wayBackTried, end, acknowledged } = newIntake();
    expect(await claim()).toEqual([]);
    bring(1, 'first');
    bring(2, 'second');
    await wayBackTried();
    // And again: it is not forgotten after the first time.
    await wayBackTried();
    expect(await claim()).toEqual(['first', 'second']);
    expect(acknowledged).toEqual([]);
    end();
  });

  it('goes back once it can, and is acknowledged only then', async () => {
    const { claim, bring, wayBackTried, openWayBack, end, sent, acknowledged } = newIntake();
    expect(await claim()).toEqual([]);
    bring(1, 'first');
    await wayBackTried();
    expect(acknowledged).toEqual([]);
    openWayBack();
    await wayBackTried();
    expect(sent.map(({ message }) => message.id)).toEqual(['first']);
    expect(await claim()).toEqual([]);
    expect(acknowledged).toEqual([1]);
    end();
  });
});

describe('a task that must not run here', () => {
  it('is dealt with again until that can be done, and is acknowledged only then', async () => {
    const { claim, bring, wayBackTried, openWayBack, end, sent, acknowledged } = newIntake();
    expect(await claim()).toEqual([]);
    bring(1, 'odd', 'of nobody here');
    await wayBackTried();
    await wayBackTried();
    expect(acknowledged).toEqual([]);
    openWayBack();
    await wayBackTried();
    expect(sent.map(({ message }) => message.id)).toEqual(['odd']);
    expect(await claim()).toEqual([]);
    expect(acknowledged).toEqual([1]);
    end();
  });

  it('is left alone when the session is over', async () => {
    const { claim, bring, wayBackTried, end, sent, pending } = newIntake();
    expect(await claim()).toEqual([]);
    bring(1, 'odd', 'of nobody here');
    await wayBackTried();
    end();
    expect(sent).toEqual([]);
    expect(pending()).toBe(0);
  });
});

describe('a claim that waits', () => {
  it('returns the first task that comes, and leaves it to the next claim to look for more', async () => {
    const { claim, bring, parked, looks, end } = newIntake();
    const asleep = parked();
    const claimed = claim(60_000);
    await asleep;
    bring(1, 'first');
    expect(await claimed).toEqual(['first']);
    expect(looks()).toBe(1);
    end();
  });
});
