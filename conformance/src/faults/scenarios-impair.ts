import { isMillraceError } from '@millrace/core';
import { shown } from '../context/checks.ts';
import type { ScenarioContext } from '../context/scenario-context.ts';
import type { Impairment } from '../harness.ts';
import { hook } from '../needs.ts';
import type { Need, Scenario } from '../scenario.ts';
import { longestCallMs, recoveryMs, untilAnswered } from './call-end.ts';
import { Load } from './load.ts';
import { withoutStrayErrors } from './stray-errors.ts';
import { openImpatient } from './wire.ts';

/** What a scenario has to work with while the backend is impaired. */
interface Bad {
  impair(): Promise<void>;
  heal(): Promise<void>;
}

function impairment(
  kind: Impairment,
  about: Pick<Scenario, 'id' | 'rule' | 'title'>,
  run: (t: ScenarioContext, bad: Bad) => Promise<void>,
): Scenario {
  const possible: Need = (_capabilities, harness) =>
    harness.hooks?.impairments?.[kind] !== undefined || {
      status: 'not-run',
      reason: `not run: no hook impairments.${kind}`,
    };
  return {
    ...about,
    tier: 'fault',
    alone: true,
    needs: [possible],
    patience: 4,
    async run(t) {
      const start = t.hooks.impairments?.[kind];
      if (start === undefined) throw new Error(`no hook impairments.${kind}`);
      let undo: (() => Promise<void>) | undefined;
      const bad: Bad = {
        impair: async () => {
          undo = await start(t.client.target);
        },
        heal: async () => {
          await undo?.();
          undo = undefined;
        },
      };
      try {
        await withoutStrayErrors(t, () => run(t, bad));
      } finally {
        await bad.heal();
      }
    },
  };
}

/** Backends that are up and will not do what they did: each needs a hook. */
export const impairScenarios: readonly Scenario[] = [
  {
    id: 'FLT-21',
    rule: 'R-FLT-1',
    title: 'the server ends its clients’ connections, again and again: work goes on by itself, nothing is lost',
    tier: 'fault',
    needs: [hook('killConnections')],
    patience: 4,
    run: (t) =>
      withoutStrayErrors(t, async () => {
        const load = new Load(t);
        const [producing, working] = [await t.open(), await t.open()];
        const { worker } = await load.hire(working, 10);
        for (let round = 1; round <= 4; round++) {
          for (let task = 0; task < 10; task++) await load.enqueue(producing);
          const ended = await t.soon(
            t.hooks.killConnections?.(t.client.target) ?? Promise.resolve(0),
            'the end of the connections',
          );
          t.ok(ended > 0, 'there were connections to end');
          await load.enqueue(producing);
          await t.eventually(() => load.runs.length >= 11 * round, `the runs of round ${round}`, recoveryMs(t));
        }
        await load.drain(recoveryMs(t));
        await t.soon(worker.stop(), 'the stop of the worker', recoveryMs(t));
        await load.leavesNothing();
      }),
  },
  impairment(
    'read-only',
    {
      id: 'FLT-22',
      rule: 'R-FLT-22',
      title: 'a server that does not write, as during a failover: errors say so, and work goes on once it does again',
    },
    (t, bad) => survive(t, bad),
  ),
  impairment(
    'full',
    {
      id: 'FLT-23',
      rule: 'R-FLT-22',
      title: 'disk, memory or quota used up: writes are refused or held back, nothing accepted is lost, recovery',
    },
    (t, bad) => survive(t, bad),
  ),
  impairment(
    'deleted',
    {
      id: 'FLT-24',
      rule: 'R-FLT-24',
      title:
        'what the adapter set up is deleted under a running worker: it says so, or sets it up again; no silent idle',
    },
    async (t, bad) => {
      const load = new Load(t);
      const client = await t.open();
      const { logged } = await load.hire(client, 0);
      await load.enqueue(client);
      await t.eventually(() => load.started === 1, 'the first run');
      await bad.impair();
      const task = t.task();
      const said = await t.soon(
        client.broker.enqueue([task]).then(
          () => undefined,
          (error: unknown) => error,
        ),
        'an enqueue after everything was deleted',
        longestCallMs,
      );
      if (said === undefined) {
        const ran = (): boolean => load.runs.some((run) => run.taskId === task.id);
        await t.eventually(ran, 'the run of a task that was accepted after everything was deleted', recoveryMs(t));
        t.ok(ran(), 'what was accepted runs');
        return;
      }
      t.ok(isMillraceError(said), `the refusal has a code; it is ${shown(said)}`);
      const loud = (): boolean => logged.some(({ level }) => level === 'error' || level === 'warn');
      await t.eventually(loud, 'a word of the worker about it', recoveryMs(t) + longestCallMs);
    },
  ),
  impairment(
    'forgotten',
    {
      id: 'FLT-25',
      rule: 'R-FLT-25',
      title: 'what the server remembered for its clients is gone, such as scripts and statements: nobody notices',
    },
    async (t, bad) => {
      const holder = await t.holder();
      for (let round = 0; round < 5; round++) {
        const [first, second] = await t.enqueueMany(2);
        await bad.impair();
        const deliveries = await holder.claimMany(2);
        t.equal(deliveries.map(({ lease }) => lease.taskId).sort(), [first?.id, second?.id].sort(), 'ids delivered');
        await bad.heal();
        await bad.impair();
        for (const delivery of deliveries) t.equal(await holder.complete(delivery), 'applied', 'the completion');
        await t.maintain();
        t.equal((await t.broker.queues.stats(['line'])).length, 1, 'statistics');
        await bad.heal();
      }
    },
  ),
  impairment(
    'unsubscribed',
    {
      id: 'FLT-26',
      rule: 'R-CON-10',
      title: 'the server ends subscriptions but not connections: an idle worker still starts the next task',
    },
    async (t, bad) => {
      const load = new Load(t);
      const client = await t.open();
      await load.hire(client, 0);
      for (let round = 1; round <= 3; round++) {
        await load.enqueue(t.client);
        await t.eventually(() => load.started === round, `the start of task ${round}`, recoveryMs(t));
        await bad.impair();
      }
      await load.enqueue(t.client);
      await load.drain(recoveryMs(t));
    },
  ),
  impairment(
    'revoked',
    {
      id: 'FLT-27',
      rule: 'R-FLT-22',
      title: 'credentials are revoked and restored: calls end with a code meanwhile, and work goes on afterwards',
    },
    (t, bad) => survive(t, bad),
  ),
  impairment(
    'crowded',
    {
      id: 'FLT-28',
      rule: 'R-FLT-22',
      title: 'no further connection is allowed: new clients are told, those that work are not harmed',
    },
    async (t, bad) => {
      const load = new Load(t);
      const client = await t.open();
      await load.hire(client, 0);
      await load.enqueue(client);
      await t.eventually(() => load.started === 1, 'the first run');
      await bad.impair();
      const late = t.connect();
      const said = await t.soon(
        late.broker.open().then(
          () => undefined,
          (error: unknown) => error,
        ),
        'opening one client more',
        longestCallMs,
      );
      t.ok(isMillraceError(said), `opening one client more is refused with a code; it is ${shown(said)}`);
      await load.enqueue(client);
      await t.eventually(() => load.started === 2, 'a run while nobody else gets in', recoveryMs(t));
      await bad.heal();
      await t.eventually(
        () =>
          late.broker.open().then(
            () => true,
            () => false,
          ),
        'opening it afterwards',
        recoveryMs(t),
      );
      await load.drain(recoveryMs(t));
    },
  ),
];

/** What a call may be answered by a backend that is up and refuses. */
const codes: ReadonlySet<string> = new Set(['UNAVAILABLE', 'INDETERMINATE', 'BACKPRESSURE', 'CONFIGURATION']);

/** Calls end with a code of the contract while it is bad; what was accepted is there afterwards, and work goes on. */
async function survive(t: ScenarioContext, bad: Bad): Promise<void> {
  const load = new Load(t);
  const [producing, working] = [await openImpatient(t), await openImpatient(t)];
  const { worker } = await load.hire(working, 5);
  for (let task = 0; task < 20; task++) await load.enqueue(producing);
  await t.eventually(() => load.runs.length >= 5, 'work under way', recoveryMs(t));
  await bad.impair();
  for (let call = 0; call < 3; call++) {
    const task = t.task({ queue: 'during' });
    const said = await t.soon(
      producing.broker.enqueue([task]).then(
        () => undefined,
        (error: unknown) => error,
      ),
      'an enqueue while it is bad',
      longestCallMs,
    );
    const code = isMillraceError(said) ? said.code : shown(said);
    t.ok(said === undefined || codes.has(code), `an enqueue while it is bad ends with a code; got ${shown(said)}`);
  }
  await bad.heal();
  await untilAnswered(t, () => producing.broker.enqueue([t.task({ queue: 'after' })]), 'an enqueue afterwards');
  for (let task = 0; task < 20; task++) await load.enqueue(producing);
  await load.drain(recoveryMs(t) + longestCallMs);
  await t.soon(worker.stop(), 'the stop of the worker', recoveryMs(t));
  await load.leavesNothing();
}
