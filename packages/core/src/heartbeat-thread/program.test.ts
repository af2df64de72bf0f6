import { MessageChannel, type MessagePort } from 'node:worker_threads';
import { afterEach, expect, it, onTestFinished } from 'vitest';
import { until } from '../../test/manual-clock.ts';
import { ScriptedBroker } from '../../test/scripted-broker.ts';
import type { Broker } from '../broker/broker.ts';
import { registerAdapter } from '../connect.ts';
import { UnavailableError } from '../errors.ts';
import type { FromThread, ToThread } from './messages.ts';
import { runHeartbeatThread } from './program.ts';

type Answer = () => Promise<'alive' | 'lost'>;

/** The broker the thread connects to. */
class BeatenBroker extends ScriptedBroker {
  readonly beats: string[] = [];
  answer: Answer = async () => 'alive';
  readonly beat = (sessionId: string): Promise<'alive' | 'lost'> => {
    this.beats.push(sessionId);
    return this.answer();
  };
}

let port: MessagePort | undefined;

afterEach(() => port?.close());

/** The program on a port of its own; the test plays the main thread. */
async function start(broker: Broker<unknown>, blockedAtMostMs = 60_000) {
  registerAdapter({ name: 'beaten', schemes: ['beaten'], connect: () => broker });
  const { port1, port2 } = new MessageChannel();
  port = port1;
  onTestFinished(() => port2.close());
  const heard: FromThread[] = [];
  port1.on('message', (message: FromThread) => void heard.push(message));
  const seen = new BigInt64Array(new SharedArrayBuffer(8));
  Atomics.store(seen, 0, process.hrtime.bigint());
  await runHeartbeatThread(port2, { url: 'beaten:', blockedAtMostMs, seen });
  const told = (type: FromThread['type']): FromThread[] => heard.filter((message) => message.type === type);
  const beaten = new BigInt64Array(new SharedArrayBuffer(8));
  const send = (message: ToThread): void => port1.postMessage(message);
  const watch = (ttlMs: number): void => send({ type: 'watch', sessionId: 'mine', ttlMs, beaten });
  return { heard, told, seen, beaten, send, watch };
}

const soon = (condition: () => boolean): Promise<void> =>
  expect.poll(condition, { interval: 5, timeout: 4_000 }).toBe(true);

it('beats at once and at a third of the ttl, and notes when a beat began that was answered', async () => {
  const broker = new BeatenBroker();
  const { told, beaten, watch, send } = await start(broker);
  const before = process.hrtime.bigint();
  let answer = (): void => {};
  broker.answer = () => new Promise((resolve) => (answer = () => resolve('alive')));
  watch(60);
  await soon(() => broker.beats.length === 1);
  const asked = process.hrtime.bigint();
  expect(Atomics.load(beaten, 0)).toBe(0n);
  answer();
  await soon(() => told('beaten').length === 1);
  const first = Atomics.load(beaten, 0);
  expect(first > before && first < asked).toBe(true);
  broker.answer = async () => 'alive';
  await soon(() => broker.beats.length > 3 && Atomics.load(beaten, 0) > first);
  send({ type: 'close' });
  await soon(() => told('closed').length === 1);
  expect([new Set(broker.beats), broker.closed]).toEqual([new Set(['mine']), 1]);
});

it('stops when the session is forgotten, or unknown to the broker, which it tells', async () => {
  const broker = new BeatenBroker();
  const { told, beaten, watch, send } = await start(broker);
  let answer: ((how: 'alive' | 'lost') => void) | undefined;
  broker.answer = () => new Promise((resolve) => (answer = resolve));
  watch(30);
  await soon(() => answer !== undefined);
  send({ type: 'forget', sessionId: 'mine' });
  // Messages come in order: what follows is heard after the forgetting.
  send({ type: 'watch', sessionId: 'other', ttlMs: 30, beaten: new BigInt64Array(new SharedArrayBuffer(8)) });
  const late = answer;
  await soon(() => broker.beats.includes('other'));
  late?.('alive');
  answer?.('lost');
  await soon(() => told('lost').length === 1);
  expect([told('lost'), told('beaten'), Atomics.load(beaten, 0)]).toEqual([
    [{ type: 'lost', sessionId: 'other' }],
    [],
    0n,
  ]);
});

it('tries again sooner after a failure', async () => {
  const broker = new BeatenBroker();
  const { told, beaten, watch } = await start(broker);
  broker.answer = async () => {
    if (broker.beats.length < 3) throw new UnavailableError('down');
    return 'alive';
  };
  // Two failures cost two fifths of the interval; two intervals would be longer than the test.
  watch(3_000);
  await soon(() => told('beaten').length === 1);
  expect(told('failed')).toEqual([1, 2].map(() => ({ type: 'failed', sessionId: 'mine', message: 'down' })));
  expect(Atomics.load(beaten, 0) > 0n).toBe(true);
});

it('falls silent while the main thread shows no sign of life for too long, and goes on when it does', async () => {
  const broker = new BeatenBroker();
  const { told, seen, watch } = await start(broker, 1_000);
  Atomics.store(seen, 0, process.hrtime.bigint() - 1_500_000_000n);
  watch(30);
  await soon(() => told('stuck').length === 1);
  expect(told('stuck')).toEqual([{ type: 'stuck', silentMs: expect.any(Number) }]);
  expect(broker.beats).toEqual([]);
  Atomics.store(seen, 0, process.hrtime.bigint());
  await soon(() => told('beaten').length > 0);
  expect(told('stuck')).toHaveLength(1);
});

it('says why it cannot begin', async () => {
  const down = new BeatenBroker();
  down.onOpen = async () => Promise.reject(new UnavailableError('down'));
  const refused = await start(down);
  await until(() => refused.heard.length > 0);
  expect(refused.heard).toEqual([{ type: 'refused', message: 'down', code: 'UNAVAILABLE' }]);
  const without = new ScriptedBroker();
  const { heard } = await start(without);
  await until(() => heard.length > 0);
  expect(heard).toEqual([{ type: 'refused', message: expect.stringContaining('cannot beat'), code: 'UNSUPPORTED' }]);
  expect(without.closed).toBe(1);
});
