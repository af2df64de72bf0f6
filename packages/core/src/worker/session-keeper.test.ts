import { describe, expect, it } from 'vitest';
import { ManualClock, turns } from '../../test/manual-clock.ts';
import { ScriptedBroker } from '../../test/scripted-broker.ts';
import type { Session } from '../broker/session.ts';
import { ClosedError, UnavailableError, ValidationError } from '../errors.ts';
import type { HeartbeatThread } from '../heartbeat-thread/heartbeat-thread.ts';
import { silentLogger } from '../logger.ts';
import { SessionKeeper } from './session-keeper.ts';

function setUp() {
  const broker = new ScriptedBroker();
  const clock = new ManualClock();
  const stop = new AbortController();
  const lost: Session[] = [];
  const warnings: string[] = [];
  const silent = (): void => {};
  const keeper = new SessionKeeper({
    broker,
    clock,
    session: { instance: 'me', host: 'here', ttlMs: 30_000, onSignal: () => {} },
    logger: {
      debug: silent,
      info: silent,
      error: silent,
      warn: (_fields: unknown, message?: string) => void warnings.push(message ?? ''),
    },
    onLost: (session) => lost.push(session),
    stop: stop.signal,
  });
  return { broker, clock, stop, keeper, lost, warnings };
}

describe('SessionKeeper', () => {
  it('opens one session for everybody, with its options', async () => {
    const { broker, keeper } = setUp();
    const sessions = await Promise.all([keeper.current(), keeper.current()]);
    expect(new Set([...sessions, await keeper.current()])).toEqual(new Set(broker.sessions));
    expect(broker.session.options).toMatchObject({ instance: 'me', host: 'here', ttlMs: 30_000 });
  });

  it('announces a loss once, and then opens another one', async () => {
    const { broker, keeper, lost } = setUp();
    const first = await keeper.current();
    broker.session.lose();
    expect(lost).toEqual([first]);
    const second = await keeper.current();
    expect(second).not.toBe(first);
    expect([broker.sessions.length, lost.length]).toEqual([2, 1]);
  });

  it('keeps trying while the broker cannot be reached', async () => {
    const { broker, clock, keeper, warnings } = setUp();
    let failures = 4;
    broker.onOpenSession = async () => {
      if (failures-- > 0) throw new UnavailableError('down');
    };
    const session = keeper.current();
    await clock.advance(60_000);
    expect(await session).toBe(broker.session);
    expect(warnings).toHaveLength(4);
    expect(clock.pending).toBe(0);
  });

  it.each([new ValidationError('ttl'), new ClosedError('closed')])(
    'does not repeat what cannot help: %s',
    async (error) => {
      const { broker, keeper } = setUp();
      broker.onOpenSession = async () => {
        throw error;
      };
      await expect(keeper.current()).rejects.toBe(error);
      broker.onOpenSession = undefined;
      expect(await keeper.current()).toBe(broker.session);
    },
  );

  it('takes a session that was lost on arrival for none, and pauses before the next', async () => {
    const { broker, clock, keeper, lost } = setUp();
    let arrivals = 0;
    broker.onOpenSession = async (session) => {
      if (++arrivals < 3) session.lose();
    };
    const session = keeper.current();
    await turns();
    expect(arrivals).toBe(1);
    await clock.advance(1_000);
    expect(await session).toBe(broker.sessions[2]);
    expect(lost).toEqual([]);
  });

  it('gives up when the worker stops', async () => {
    const { broker, clock, stop, keeper } = setUp();
    broker.onOpenSession = async () => {
      throw new UnavailableError('down');
    };
    const refused = expect(keeper.current()).rejects.toMatchObject({ code: 'UNAVAILABLE' });
    await turns();
    stop.abort();
    await refused;
    expect(clock.pending).toBe(0);
  });

  it('ends the session, also one that is just being opened', async () => {
    const { broker, keeper } = setUp();
    let opened = (): void => {};
    broker.onOpenSession = () => new Promise((resolve) => (opened = resolve));
    const session = keeper.current();
    const ended = keeper.end();
    opened();
    await Promise.all([session, ended]);
    expect(broker.session.ended).toBe(1);
    await keeper.end();
    expect(broker.session.ended).toBe(1);
  });

  it('ends quietly when nothing was opened, or opening fails', async () => {
    const { broker, keeper } = setUp();
    await keeper.end();
    broker.onOpenSession = async () => {
      throw new ClosedError('closed');
    };
    const refused = expect(keeper.current()).rejects.toThrow('closed');
    await Promise.all([keeper.end(), refused]);
  });

  it('takes no end for a loss, where an adapter ends its signal with the session', async () => {
    const { broker, keeper, lost } = setUp();
    await keeper.current();
    broker.session.onEnd = async () => broker.session.lose();
    await keeper.end();
    expect(lost).toEqual([]);
  });

  it('has a heartbeat thread watch each session, and forget it before it ends', async () => {
    const { broker, clock, stop } = setUp();
    const order: string[] = [];
    const beatenAt = (): number => 5;
    const thread = {
      beats: () => ({ beaten: new BigInt64Array(1), beatenAt }),
      watch: async (session: Session, ttlMs: number) => {
        order.push(`watch ${broker.sessions.indexOf(session as never)} ${ttlMs}`);
        return order.length === 1;
      },
      forget: (session: Session) => void order.push(`forget ${broker.sessions.indexOf(session as never)}`),
    };
    const keeper = new SessionKeeper({
      broker,
      clock,
      session: { instance: 'me', host: 'here', ttlMs: 30_000, onSignal: () => {} },
      logger: silentLogger,
      onLost: () => {},
      stop: stop.signal,
      thread: () => thread as unknown as HeartbeatThread,
    });
    expect(await keeper.watched).toBe(true);
    await keeper.current();
    expect([await keeper.watched, broker.session.options?.beatenAt]).toEqual([true, beatenAt]);
    broker.session.lose();
    await keeper.current();
    expect(await keeper.watched).toBe(false);
    broker.session.onEnd = async () => void order.push('end');
    await keeper.end();
    expect(order).toEqual(['watch 0 30000', 'watch 1 30000', 'forget 1', 'end']);
  });
});
