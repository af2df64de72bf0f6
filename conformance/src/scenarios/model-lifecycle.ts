import type { Broker, Capabilities, TaskReport, TaskStore } from '@millrace/core';
import { usual } from '../context/builders.ts';
import type { ScenarioContext } from '../context/scenario-context.ts';
import type { Scenario } from '../scenario.ts';
import { checkCapabilities } from '../spec/capability-shape.ts';

/** A closed client has no backend to wait for, so this is no budget: only a stalled process could exceed it. */
const localMs = 3_000;

/** MOD: opening, closing, and refusing what is not claimed. */
export const modelLifecycle: readonly Scenario[] = [
  {
    id: 'MOD-01',
    rule: 'R-MOD-1',
    title: 'capabilities are complete, frozen, JSON-serialisable and the same on every opening and client',
    tier: 'core',
    async run(t) {
      const claimed = await t.broker.open();
      t.equal(checkCapabilities(claimed), [], 'what is missing or wrong in the capabilities');
      t.ok(isFrozen(claimed), 'capabilities are frozen, all the way down');
      t.equal(JSON.parse(JSON.stringify(claimed)), claimed, 'capabilities after a trip through JSON');
      t.ok((await t.broker.open()) === claimed, 'opening again returns the same object');
      t.equal(await (await t.open()).broker.open(), claimed, 'capabilities of another client');
      t.equal(claimed, t.capabilities, 'capabilities of the survey');
    },
  },
  {
    id: 'MOD-02',
    rule: 'R-MOD-2',
    title: 'what is not claimed is refused with UNSUPPORTED before any effect; what is claimed is there',
    tier: 'core',
    async run(t) {
      const holder = await t.holder();
      await t.enqueue();
      const delivery = await holder.claimOne();
      for (const { name, claimed, call } of optionalCalls(t, (update) => holder.report(delivery, update))) {
        await t.cell(name, async () => {
          if (claimed) t.ok(true, 'claimed; its own scenarios check it');
          else t.equal((await t.refuses(call, 'UNSUPPORTED', name)).retryable, 'no', 'retryable');
        });
      }
      const operations: readonly (boolean | readonly string[])[] = Object.values(t.capabilities.tasks);
      const some = operations.some((each) => (typeof each === 'boolean' ? each : each.length > 0));
      t.equal(t.broker.tasks !== undefined, some, 'presence of the task store');
      t.equal(t.broker.schedules === undefined, !t.capabilities.schedules, 'absence of the schedule store');
      t.equal(await holder.complete(delivery), 'applied', 'the completion');
      await holder.claimsNothing();
    },
  },
  {
    id: 'MOD-03',
    rule: 'R-MOD-3',
    title: 'every method before open and after close is refused with CLOSED',
    tier: 'core',
    async run(t) {
      const client = t.connect();
      const { broker } = client;
      for (const [name, call] of methods(broker, t.capabilities)) {
        await t.cell(`${name} before open`, async () => {
          await t.refuses(call, { code: 'CLOSED', reason: 'not-open' }, name);
        });
      }
      await broker.open();
      const holder = await t.holder({ client });
      await t.enqueue();
      const { lease } = await holder.claimOne();
      await broker.close();
      for (const [name, call] of methods(broker, t.capabilities)) {
        await t.cell(`${name} after close`, async () => {
          await t.refuses(call, { code: 'CLOSED', reason: 'closed' }, name);
        });
      }
      await t.refuses(() => broker.open(), { code: 'CLOSED', reason: 'closed' }, 'open after close');
      const [outcome] = await t.soon(
        holder.session.settle([{ type: 'complete', lease }]),
        'a settle after close',
        localMs,
      );
      t.ok(outcome === 'stale' || outcome === 'unknown', `a settle after close is ${outcome}, not applied`);
      await t.soon(holder.session.end(), 'the end of a session after close', localMs);
    },
  },
  {
    id: 'MOD-04',
    rule: 'R-MOD-4',
    title: 'open and close are safe to repeat and to call at once; close during open ends closed',
    tier: 'core',
    async run(t) {
      const { broker } = t.connect();
      const opened = await t.soon(Promise.all([broker.open(), broker.open(), broker.open()]), 'opening three times');
      t.ok(
        opened.every((each) => each === opened[0]),
        'concurrent openings return the same object',
      );
      await t.soon(Promise.all([broker.close(), broker.close()]), 'closing twice at once');
      await t.soon(broker.close(), 'closing again');
      await t.refuses(
        () => broker.maintain({ maxTasks: 1 }),
        { code: 'CLOSED', reason: 'closed' },
        'maintain after close',
      );

      const hasty = t.connect().broker;
      const opening = hasty.open().then(
        () => 'opened',
        () => 'refused',
      );
      await t.soon(hasty.close(), 'closing during an opening');
      t.ok(['opened', 'refused'].includes(await t.soon(opening, 'the end of the opening')), 'the opening ends');
      await t.refuses(() => hasty.enqueue([t.task()]), { code: 'CLOSED', reason: 'closed' }, 'enqueue after that');

      const neverOpened = t.connect().broker;
      await t.soon(neverOpened.close(), 'closing what was never opened');
    },
  },
  {
    id: 'MOD-19',
    rule: 'R-MOD-19',
    title: 'health is ready while open and down when closed, and never throws',
    tier: 'core',
    async run(t) {
      const { broker } = t.connect();
      t.equal((await t.soon(broker.health(), 'health before open')).state, 'down', 'health before open');
      await broker.open();
      t.equal((await t.soon(broker.health(), 'health while open')).state, 'ready', 'health while open');
      await broker.close();
      t.equal((await t.soon(broker.health(), 'health after close')).state, 'down', 'health after close');
    },
  },
];

function isFrozen(value: unknown): boolean {
  if (typeof value !== 'object' || value === null) return true;
  return Object.isFrozen(value) && Object.values(value).every(isFrozen);
}

/** Every method of a broker that works on the backend, by name. */
function methods(broker: Broker<unknown>, capabilities: Capabilities): [string, () => Promise<unknown>][] {
  const { tasks, queues } = broker;
  const session = { instance: 'late', host: 'localhost', ttlMs: capabilities.session.maxTtlMs, onSignal: () => {} };
  const task = { id: 'late', ...usual, headers: {}, priority: 4, delayMs: 0, maxAttempts: 1, version: 1 };
  const calls: [string, () => Promise<unknown>][] = [
    ['enqueue', () => broker.enqueue([task])],
    ['openSession', () => broker.openSession(session)],
    ['maintain', () => broker.maintain({ maxTasks: 1 })],
    ['queues.stats', () => queues.stats()],
    ['queues.pause', () => queues.pause(usual.queue)],
    ['queues.resume', () => queues.resume(usual.queue)],
    ['queues.purge', () => queues.purge(usual.queue)],
  ];
  return tasks === undefined ? calls : [...calls, ...taskMethods(tasks)];
}

function taskMethods(tasks: TaskStore): [string, () => Promise<unknown>][] {
  const simple = ['get', 'cancel', 'pause', 'resume', 'rerun', 'remove'] as const;
  return [
    ...simple.map((name): [string, () => Promise<unknown>] => [`tasks.${name}`, () => tasks[name](['late'])]),
    ['tasks.list', () => tasks.list({}, { limit: 1 })],
    ['tasks.count', () => tasks.count({})],
    ['tasks.reschedule', () => tasks.reschedule(['late'], { delayMs: 1 })],
    ['tasks.update', () => tasks.update(['late'], { priority: 1 })],
    ['tasks.wait', () => tasks.wait(['late'], { waitMs: 1 })],
    ['tasks.events', () => first(tasks)],
  ];
}

/** An async iterable shows its refusal when it is first asked. */
async function first(tasks: TaskStore): Promise<unknown> {
  return tasks
    .events({}, { signal: AbortSignal.timeout(1_000) })
    [Symbol.asyncIterator]()
    .next();
}

interface OptionalCall {
  readonly name: string;
  readonly claimed: boolean;
  readonly call: () => Promise<unknown>;
}

function optionalCalls(
  t: ScenarioContext,
  report: (update: Omit<TaskReport, 'lease'>) => Promise<unknown>,
): OptionalCall[] {
  const { tasks, queues, unique, transactions, reports } = t.capabilities;
  const { broker } = t;
  const keyed = { key: 'k', keyUntil: 'settled', onConflict: 'ignore' } as const;
  const enqueueKeyed = async (changes: object): Promise<unknown> => {
    const outcome = await t.tryEnqueue(t.task({ ...keyed, ...changes }));
    // Refused for one task of a batch, or for the whole call: both are before any effect.
    if (outcome.status === 'rejected') throw outcome.error;
    return outcome;
  };
  const untils = unique === false ? [] : unique.until;
  const calls: OptionalCall[] = [
    { name: 'unique', claimed: unique !== false, call: () => enqueueKeyed({}) },
    {
      name: 'unique.until.started',
      claimed: untils.includes('started'),
      call: () => enqueueKeyed({ keyUntil: 'started' }),
    },
    {
      name: 'unique.replace',
      claimed: unique !== false && unique.replace,
      call: () => enqueueKeyed({ onConflict: 'replace' }),
    },
    { name: 'transactions', claimed: transactions, call: () => broker.enqueue([t.task()], { transaction: {} }) },
    { name: 'reports.progress', claimed: reports.progress, call: () => report({ progress: '1' }) },
    { name: 'reports.checkpoint', claimed: reports.checkpoint, call: () => report({ checkpoint: '1' }) },
    {
      name: 'reports.log',
      claimed: reports.log,
      call: () => report({ log: [{ level: 'info', message: 'm', at: 1 }] }),
    },
    { name: 'reports.begun', claimed: reports.begun, call: () => report({ begun: true }) },
    { name: 'queues.pause', claimed: queues.pause !== false, call: () => broker.queues.pause('elsewhere') },
    { name: 'queues.purge', claimed: queues.purge, call: () => broker.queues.purge('elsewhere') },
  ];
  const store = broker.tasks;
  if (store === undefined) return calls;
  const claimed = new Map<string, boolean>(
    Object.entries(tasks).map(([name, value]) => [
      `tasks.${name}`,
      typeof value === 'boolean' ? value : value.length > 0,
    ]),
  );
  const operations = taskMethods(store).filter(([name]) => claimed.has(name));
  return [...calls, ...operations.map(([name, call]) => ({ name, claimed: claimed.get(name) === true, call }))];
}
