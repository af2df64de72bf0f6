import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { ManualClock, turns, until } from '../../test/manual-clock.ts';
import { delivery, everything, ScriptedBroker } from '../../test/scripted-broker.ts';
import { createClient } from '../client/create-client.ts';
import { defineTask, type TaskDefinition } from '../define-task.ts';
import { ConfigurationError, UnavailableError, ValidationError } from '../errors.ts';
import { silentLogger } from '../logger.ts';
import { createWorker, type Worker } from './create-worker.ts';
import { type Handler, handle } from './handle.ts';
import type { TaskContext } from './task-context.ts';
import type { WorkerOptions } from './worker-options.ts';

const work = defineTask({ name: 'work' });
const other = defineTask({ name: 'other', queue: 'second' });

let broker: ScriptedBroker;
let clock: ManualClock;
const rejections: unknown[] = [];
const noteRejection = (reason: unknown): void => void rejections.push(reason);

beforeEach(() => {
  broker = new ScriptedBroker();
  clock = new ManualClock();
  process.on('unhandledRejection', noteRejection);
});

afterEach(async () => {
  await turns();
  process.off('unhandledRejection', noteRejection);
  expect(rejections.splice(0)).toEqual([]);
});

function worker(handlers: readonly Handler[], options: Partial<WorkerOptions> = {}): Worker {
  return createWorker({ broker, handlers, clock, logger: silentLogger, maintenance: false, ...options });
}

/** A handler whose runs end when the test says so. */
function gate(definition: TaskDefinition = work, options?: { readonly concurrency?: number }) {
  const runs: {
    readonly context: TaskContext;
    readonly finish: () => void;
    readonly fail: (error: unknown) => void;
  }[] = [];
  const handler = handle(
    definition,
    (_input, context) => new Promise<void>((finish, fail) => void runs.push({ context, finish, fail })),
    options,
  );
  return { handler, runs };
}

const settles = (): string[] => broker.sessions.flatMap((session) => session.settled.map(({ type }) => type));

describe('a worker', () => {
  it('opens the broker and a session, claims, runs and settles', async () => {
    const seen: unknown[] = [];
    const started = worker([handle(work, (input) => void seen.push(input))], { instance: 'me', sessionTtl: '10s' });
    broker.push(delivery({ input: '{"n":1}' }), delivery({ input: '{"n":2}' }));
    await started.start();
    await until(() => settles().length === 2);
    expect(seen).toEqual([{ n: 1 }, { n: 2 }]);
    expect(settles()).toEqual(['complete', 'complete']);
    expect(broker.session.options).toMatchObject({ instance: 'me', ttlMs: 10_000 });
    expect([started.instance, started.running]).toEqual(['me', 0]);
    await started.stop();
  });

  it('never runs more than its concurrency over all handlers, and reaches it (CON-01)', async () => {
    let most = 0;
    const [first, second, limited] = [
      gate(work),
      gate(other),
      gate(defineTask({ name: 'limited' }), { concurrency: 2 }),
    ];
    const started = worker([first.handler, second.handler, limited.handler], { concurrency: 5 });
    for (let count = 0; count < 20; count++) {
      broker.push(delivery(), delivery({ name: 'other', queue: 'second' }), delivery({ name: 'limited' }));
    }
    await started.start();
    for (let ended = 0; ended < 60; ended++) {
      await until(() => started.running > 0);
      most = Math.max(most, started.running);
      expect(limited.runs.length).toBeLessThanOrEqual(2);
      [limited, first, second]
        .find(({ runs }) => runs.length > 0)
        ?.runs.shift()
        ?.finish();
      await turns(4);
    }
    expect(most).toBe(5);
    // Lanes that share slots claim what they can start, not what the others have started meanwhile.
    expect(settles().filter((type) => type === 'release').length).toBeLessThan(60);
    await until(() => settles().filter((type) => type === 'complete').length === 60);
    await started.stop();
  });

  it('claims for each limited handler on its own, and from the queues of the definitions or its own', async () => {
    const names = (): unknown => broker.session.claims.map(({ names, queues, limit }) => [names, queues, limit]);
    const limited = gate(work, { concurrency: 3 });
    const started = worker([limited.handler, gate(other).handler, gate(defineTask({ name: 'third' })).handler]);
    await started.start();
    await turns();
    expect(names()).toEqual([
      [['work'], ['default'], 3],
      [['other', 'third'], ['second', 'default'], 10],
    ]);
    await started.stop();
    broker = new ScriptedBroker();
    const narrow = worker([gate(work).handler], { queues: ['only'] });
    await narrow.start();
    await turns();
    expect(names()).toEqual([[['work'], ['only'], 10]]);
    await narrow.stop();
  });

  it('lets a failing handler be retried and goes on', async () => {
    const started = worker([
      handle(work, () => {
        throw new Error('x');
      }),
    ]);
    broker.push(delivery(), delivery({ attempt: 3 }));
    await started.start();
    await until(() => settles().length === 2);
    expect(settles()).toEqual(['retry', 'fail']);
    await started.stop();
  });

  it('gives handlers a client that enqueues on the same broker', async () => {
    const started = worker([handle(work, (_input, context) => context.enqueue(other, 5))]);
    broker.push(delivery({ headers: { trace: '1' } }));
    await started.start();
    await until(() => settles().length === 1);
    expect(broker.enqueued).toEqual([
      expect.objectContaining({ name: 'other', queue: 'second', headers: { trace: '1' } }),
    ]);
    await started.stop();
    expect(broker.closed).toBe(1);
  });

  it('says when an outcome was not taken', async () => {
    const warnings: unknown[] = [];
    const logger = { ...silentLogger, warn: (...line: unknown[]) => void warnings.push(line) };
    const started = worker([handle(work, () => {})], { logger });
    await started.start();
    broker.session.onSettle = async () => ['stale'];
    broker.push(delivery());
    await until(() => warnings.length === 1);
    expect(warnings[0]).toEqual([
      expect.objectContaining({ operation: 'complete', outcome: 'stale', attempt: 1 }),
      expect.stringContaining('was not taken'),
    ]);
    await started.stop();
  });

  it('does not fall with a logger that throws', async () => {
    const full = (): never => {
      throw new Error('the log is full');
    };
    const started = worker([handle(work, (_input, context) => context.log.info('hello'))], {
      logger: { debug: full, info: full, warn: full, error: full },
    });
    await started.start();
    broker.session.onSettle = async (operations) => operations.map(() => 'stale');
    broker.push(delivery(), delivery());
    await until(() => settles().length === 2);
    expect((await started.stop()).abandoned).toBe(0);
  });

  it('has as many lanes as it needs, without a warning of Node', async () => {
    const warnings: Error[] = [];
    const note = (warning: Error): void => void warnings.push(warning);
    process.on('warning', note);
    const limited = Array.from({ length: 30 }, (_, index) =>
      handle(defineTask({ name: `limited ${index}` }), () => {}, { concurrency: 1 }),
    );
    const started = worker(limited);
    await started.start();
    await until(() => broker.session.claims.length === 30);
    await turns();
    await started.stop();
    process.off('warning', note);
    expect(warnings).toEqual([]);
  });

  it('claims before it maintains: there may be only one connection as yet', async () => {
    const broker = new ScriptedBroker();
    const calls: string[] = [];
    const openSession = broker.openSession.bind(broker);
    broker.openSession = async (options) => {
      const session = await openSession(options);
      const claim = session.claim.bind(session);
      session.claim = (request) => {
        calls.push('claim');
        return claim(request);
      };
      return session;
    };
    const maintain = broker.maintain.bind(broker);
    broker.maintain = () => {
      calls.push('maintain');
      return maintain();
    };
    const worker = createWorker({ broker, handlers: [handle(defineTask({ name: 'a' }), () => {})] });
    await worker.start();
    await vi.waitFor(() => expect(calls).toContain('maintain'));
    expect(calls[0]).toBe('claim');
    await worker.stop();
  });

  it('maintains the broker at the interval the broker advises', async () => {
    const started = createWorker({
      broker,
      handlers: [gate().handler],
      clock,
      logger: silentLogger,
      random: () => 0.5,
    });
    await started.start();
    await clock.advance(everything.session.sweepMs * 3);
    expect(broker.maintained).toBe(4);
    await started.stop();
    expect(clock.pending).toBe(0);
  });
});

describe('a stop that a user asks for', () => {
  const signal = (one: ReturnType<typeof delivery>, request: 'cancel' | 'pause' | 'remove'): void =>
    broker.session.options?.onSignal({ taskId: one.lease.taskId, fence: one.lease.fence, request });

  it('aborts the run it is meant for, once, with the reason', async () => {
    const gated = gate();
    const started = worker([gated.handler]);
    const [one, two] = [delivery(), delivery()];
    broker.push(one, two);
    await started.start();
    await until(() => gated.runs.length === 2);
    signal(one, 'pause');
    signal(one, 'cancel');
    signal({ ...two, lease: { ...two.lease, fence: two.lease.fence + 1_000 } }, 'cancel');
    expect(gated.runs.map(({ context }) => context.signal.reason?.why)).toEqual(['paused', undefined]);
    gated.runs[0]?.fail(gated.runs[0].context.signal.reason);
    gated.runs[1]?.finish();
    await until(() => settles().length === 2);
    expect(settles()).toEqual(['pause', 'complete']);
    await started.stop();
  });

  it.each(['cancel', 'pause', 'remove'] as const)(
    '%s takes a task claimed ahead out of the line: it never begins',
    async (request) => {
      const gated = gate();
      const started = worker([gated.handler], { concurrency: 1, prefetch: 2 });
      const [one, two, three] = [delivery(), delivery(), delivery()];
      broker.push(one, two, three, delivery());
      await started.start();
      await until(() => gated.runs.length === 1 && broker.work.length === 1);
      signal(two, request);
      // Its place in the line is free for the next one.
      await until(() => settles().length === 1 && broker.work.length === 0);
      expect(broker.session.settled).toEqual([{ type: request === 'pause' ? 'pause' : 'cancel', lease: two.lease }]);
      gated.runs[0]?.finish();
      await until(() => gated.runs.length === 2);
      expect(gated.runs[1]?.context.id).toBe(three.lease.taskId);
      gated.runs[1]?.finish();
      await until(() => gated.runs.length === 3);
      gated.runs[2]?.finish();
      await until(() => settles().length === 4);
      await started.stop();
    },
  );
});

describe('the last attempt of a task', () => {
  let pass: (outcome: 'applied' | 'stale' | 'unknown') => void;

  async function startLast(options: Partial<WorkerOptions> = {}) {
    broker.capabilities = { ...everything, reports: { ...everything.reports, begun: true } };
    const gated = gate();
    const started = worker([gated.handler], options);
    await started.start();
    broker.session.onReport = (reports) =>
      new Promise((resolve) => (pass = (outcome) => resolve(reports.map(() => outcome))));
    const last = delivery({ attempt: 3 });
    broker.push(last);
    await until(() => broker.session.reported.length === 1);
    expect(broker.session.reported).toEqual([{ lease: last.lease, begun: true }]);
    expect([gated.runs.length, started.running]).toEqual([0, 1]);
    return { gated, started, last };
  }

  it.each(['applied', 'unknown'] as const)(
    'begins once the broker knows (%s), others at once (LSE-16)',
    async (outcome) => {
      const { gated, started } = await startLast();
      broker.push(delivery({ attempt: 2 }));
      await until(() => gated.runs.length === 1);
      pass(outcome);
      await until(() => gated.runs.length === 2);
      for (const { finish } of gated.runs) finish();
      await until(() => settles().length === 2);
      await started.stop();
    },
  );

  it('does not begin when it was taken away meanwhile', async () => {
    const { gated, started } = await startLast();
    pass('stale');
    await until(() => started.running === 0);
    expect([gated.runs, settles()]).toEqual([[], []]);
    await started.stop();
  });

  it('does not begin when the session is lost meanwhile', async () => {
    const { gated, started } = await startLast();
    broker.sessions[0]?.lose();
    expect(started.running).toBe(0);
    pass('applied');
    await turns();
    expect([gated.runs, settles()]).toEqual([[], []]);
    await started.stop();
  });

  it('does not begin when it was cancelled meanwhile', async () => {
    const { gated, started, last } = await startLast();
    broker.session.options?.onSignal({ taskId: last.lease.taskId, fence: last.lease.fence, request: 'cancel' });
    pass('applied');
    await until(() => settles().length === 1);
    expect([gated.runs, settles()]).toEqual([[], ['cancel']]);
    await started.stop();
  });

  it('is handed back when the worker stops meanwhile', async () => {
    const { gated, started } = await startLast();
    const stopped = started.stop();
    await turns();
    pass('applied');
    await clock.advance(10);
    expect(await stopped).toEqual({ drained: 0, released: 1, unconfirmed: 0, abandoned: 0 });
    expect([gated.runs, settles()]).toEqual([[], ['release']]);
  });
});

describe('a lost session', () => {
  it('aborts its runs with LEASE_LOST, frees their slots, drops what was claimed ahead, and is replaced', async () => {
    const gated = gate();
    const started = worker([gated.handler], { concurrency: 2, prefetch: 2 });
    broker.push(...Array.from({ length: 4 }, () => delivery()));
    await started.start();
    await until(() => gated.runs.length === 2 && broker.work.length === 0);
    broker.session.lose('silent');
    expect(gated.runs.map(({ context }) => context.signal.reason?.code)).toEqual(['LEASE_LOST', 'LEASE_LOST']);
    expect(started.running).toBe(0);
    gated.runs[0]?.finish();
    gated.runs[1]?.fail(new Error('lost'));
    await until(() => broker.sessions.length === 2);
    broker.push(delivery());
    await until(() => gated.runs.length === 3);
    gated.runs[2]?.finish();
    await until(() => settles().length === 1);
    expect(broker.sessions.map((session) => session.settled.length)).toEqual([0, 1]);
    await started.stop();
  });

  it('settles nothing of a run that was reporting', async () => {
    const started = worker([
      handle(work, async (_input, context) => {
        context.progress(1);
      }),
    ]);
    await started.start();
    const { session } = broker;
    session.onReport = async () => {
      session.lose();
      throw new Error('cut');
    };
    session.onSettle = async (operations) => operations.map(() => 'stale');
    broker.push(delivery());
    await until(() => session.reported.length === 1);
    await turns();
    expect(started.running).toBe(0);
    await started.stop();
  });
});

describe('start', () => {
  it('is done once', async () => {
    const started = worker([gate().handler]);
    await Promise.all([started.start(), started.start()]);
    await started.start();
    expect([broker.opened, broker.sessions.length]).toEqual([1, 1]);
    await started.stop();
  });

  it('rejects when the broker does not open, and may be tried again', async () => {
    const started = worker([gate().handler]);
    broker.onOpen = async () => {
      throw new UnavailableError('down');
    };
    await expect(started.start()).rejects.toThrow('down');
    broker.onOpen = undefined;
    await started.start();
    expect(broker.sessions).toHaveLength(1);
    await started.stop();
  });

  it.each([new ValidationError('ttl too short'), new ConfigurationError('schema')])(
    'rejects when the session can never be opened: %s',
    async (error) => {
      broker.onOpenSession = async () => {
        throw error;
      };
      const started = worker([gate().handler], { sessionTtl: '1ms' });
      await expect(started.start()).rejects.toBe(error);
      expect(await started.stop()).toEqual({ drained: 0, released: 0, unconfirmed: 0, abandoned: 0 });
    },
  );

  it('is refused with a heartbeat thread where the broker cannot beat from one (T21)', async () => {
    const started = worker([gate().handler], { heartbeatThread: { url: 'scripted:' } });
    await expect(started.start()).rejects.toMatchObject({
      code: 'UNSUPPORTED',
      capability: 'beat',
      option: 'heartbeatThread',
    });
    expect(broker.sessions).toEqual([]);
    await started.stop();
  });

  it('is refused after a stop', async () => {
    const started = worker([gate().handler]);
    await started.stop();
    await expect(started.start()).rejects.toMatchObject({ code: 'CLOSED' });
    expect(broker.opened).toBe(0);
  });
});

describe('the process', () => {
  it('is kept alive by a started worker, and by nothing of a stopped one (SHD-05)', async () => {
    const set = vi.spyOn(globalThis, 'setInterval');
    const clear = vi.spyOn(globalThis, 'clearInterval');
    try {
      const started = worker([gate().handler]);
      await Promise.all([started.start(), started.start()]);
      expect(set).toHaveBeenCalledOnce();
      await started.stop();
      expect(clear).toHaveBeenCalledWith(set.mock.results[0]?.value);
      const failing = worker([gate().handler]);
      broker.onOpen = async () => Promise.reject(new UnavailableError('down'));
      await expect(failing.start()).rejects.toThrow('down');
      expect(clear).toHaveBeenCalledWith(set.mock.results[1]?.value);
      await failing.stop();
    } finally {
      set.mockRestore();
      clear.mockRestore();
    }
    expect(clock.pending).toBe(0);
  });
});

describe('the broker', () => {
  it('is closed with its last client or worker', async () => {
    const client = createClient({ broker });
    const first = worker([gate().handler]);
    const second = worker([gate().handler]);
    await first.start();
    await first.stop();
    await client.close();
    expect(broker.closed).toBe(0);
    await second.stop();
    expect(broker.closed).toBe(1);
  });

  it('is left open when asked to', async () => {
    {
      await using started = worker([gate().handler], { closeBroker: false });
      await started.start();
    }
    expect([broker.closed, broker.session.ended]).toEqual([0, 1]);
  });
});
