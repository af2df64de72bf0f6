import {
  type Broker,
  type Capabilities,
  type Delivery,
  isMillraceError,
  type Session,
  systemClock,
} from '@millrace/core';
import { buildTask, usual } from '../context/builders.ts';
import type { Circumstances } from '../context/scenario-context.ts';
import type { BrokerHarness, Target } from '../harness.ts';
import { runScenario, type ScenarioResult } from '../run-scenario.ts';
import { groupOf, type Scenario } from '../scenario.ts';
import { scenarios } from '../scenarios/index.ts';
import { checkCapabilities } from '../spec/capability-shape.ts';
import { rules } from '../spec/rules.ts';
import { newNamespace, surveyBroker } from '../survey.ts';
import type { Terminal } from './terminal.ts';

/** The order in which an adapter grows; the others follow as the suite lists them. */
const groupsInOrder = ['MOD', 'PAY', 'STM', 'LSE', 'RTY', 'DLY', 'SHD', 'BAD', 'CON', 'ORD', 'PRI', 'OBS'];
/** No step of a stub may hang the doctor. */
const stepMs = 15_000;
const shownFailures = 3;

/** The methods of a broker, and what each must do. */
const methods: Readonly<Record<string, string>> = {
  open: 'connect, set up what you store, return frozen capabilities',
  enqueue: 'store tasks; one outcome per task, in order',
  openSession: 'a presence that lapses after ttlMs without a heartbeat',
  maintain: 'take back tasks of lapsed sessions, end expired tasks, remove old ones',
  health: 'never throws',
  close: 'safe to repeat, also during open',
};

/** What stops an adapter from growing on, and what to do about it. */
class Finding extends Error {
  readonly advice: string;
  constructor(message: string, advice: string) {
    super(message);
    this.name = 'Finding';
    this.advice = advice;
  }
}

/**
 * Leads from a stub to Core: goes on until something is missing, and says what. Resolves to whether nothing is.
 */
export async function doctor(harness: BrokerHarness, terminal: Terminal): Promise<boolean> {
  const step = async <T>(what: string, run: () => Promise<T> | T): Promise<T> => {
    try {
      const result = await within(run, what);
      terminal.out(`ok    ${what}`);
      return result;
    } catch (error) {
      terminal.out(`STOP  ${what}`);
      throw error;
    }
  };
  try {
    await step('the harness has name, connect and drop', () => checkHarness(harness));
    const broker = await step('connect returns a broker, not opened', () => checkBroker(harness));
    const capabilities = await step('open returns every capability', () => checkOpen(broker.broker));
    await roundTrip(broker.broker, capabilities, step);
    await step('close ends it, and drop removes what it stored', async () => {
      await broker.broker.close();
      await harness.drop(broker.target);
    });
    return await growToCore(harness, terminal);
  } catch (error) {
    if (!(error instanceof Finding)) throw error;
    terminal.out(`      ${error.message}`);
    terminal.out(`next  ${error.advice}`);
    return false;
  }
}

async function within<T>(run: () => Promise<T> | T, what: string): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => reject(new Finding(`it did not end within ${stepMs} ms`, `let it end: ${what}`)), stepMs);
  });
  try {
    return await Promise.race([(async () => run())(), late]);
  } catch (error) {
    if (error instanceof Finding) throw error;
    throw new Finding(`it threw ${describe(error)}`, `make this work: ${what}`);
  } finally {
    clearTimeout(timer);
  }
}

function checkHarness(harness: Partial<BrokerHarness>): void {
  const wanted = { name: 'string', connect: 'function', drop: 'function' } as const;
  for (const [member, type] of Object.entries(wanted)) {
    const found = typeof harness[member as keyof typeof wanted];
    if (found !== type)
      throw new Finding(`${member} is ${found}`, `give the harness a ${member}: ${type} (conformance/README.md)`);
  }
}

function checkBroker(harness: BrokerHarness): { readonly broker: Broker<unknown>; readonly target: Target } {
  const namespace = newNamespace('doctor');
  const clock = harness.clock?.(namespace) ?? systemClock;
  const target = { url: harness.url ?? '', namespace, clock };
  const broker: unknown = harness.connect(target);
  if (broker instanceof Promise)
    throw new Finding('connect returned a promise', 'return the broker itself: what takes time belongs into open()');
  if (typeof broker !== 'object' || broker === null)
    throw new Finding(`connect returned ${typeof broker}`, 'return an object that implements Broker');
  const { kind, queues } = broker as Partial<Broker>;
  for (const [method, purpose] of Object.entries(methods)) {
    if (typeof (broker as Record<string, unknown>)[method] !== 'function')
      throw new Finding(`${method}() is not there`, `write ${method}(): ${purpose}`);
  }
  if (typeof kind !== 'string') throw new Finding('kind is not there', "give the broker a kind, such as 'mine'");
  for (const method of ['stats', 'pause', 'resume', 'purge'] as const) {
    if (typeof queues?.[method] !== 'function')
      throw new Finding(
        `queues.${method}() is not there`,
        method === 'stats' ? 'write queues.stats()' : `write queues.${method}(), or let it throw UnsupportedError`,
      );
  }
  return { broker: broker as Broker<unknown>, target };
}

async function checkOpen(broker: Broker<unknown>): Promise<Capabilities> {
  const capabilities: unknown = await broker.open();
  const [first, ...more] = checkCapabilities(capabilities);
  if (first !== undefined)
    throw new Finding(
      [first, ...more.slice(0, 4)].join('\n      '),
      `return ${more.length + 1} capabilities as packages/core/src/broker/capabilities.ts has them; claim little at first`,
    );
  return capabilities as Capabilities;
}

type Step = <T>(what: string, run: () => Promise<T> | T) => Promise<T>;

async function roundTrip(broker: Broker<unknown>, capabilities: Capabilities, step: Step): Promise<void> {
  const task = buildTask({ input: '"hello"' });
  await step('enqueue answers `accepted`', async () => {
    const outcomes = await broker.enqueue([task]);
    if (outcomes.length !== 1 || outcomes[0]?.status !== 'accepted')
      throw new Finding(
        `it answered ${JSON.stringify(outcomes)}`,
        "return [{ status: 'accepted' }] once the task is stored",
      );
  });
  const { minTtlMs, maxTtlMs } = capabilities.session;
  const ttlMs = Math.min(maxTtlMs, Math.max(minTtlMs, 60_000));
  const session: Session = await step('openSession gives a session', async () => {
    const opened = await broker.openSession({ instance: 'doctor', host: 'localhost', ttlMs, onSignal: () => {} });
    if (typeof opened.id !== 'string' || !(opened.lost instanceof AbortSignal))
      throw new Finding('it has no id, or no lost', 'a session has an id and an AbortSignal `lost` (startHeartbeat)');
    return opened;
  });
  const delivery: Delivery = await step('claim delivers the task', async () => {
    const request = { queues: [usual.queue], names: [usual.name], limit: 1, waitMs: 5_000 };
    const [delivered] = await session.claim(request);
    if (delivered === undefined)
      throw new Finding('it delivered nothing', 'let claim return what is due, of the queues and names asked for');
    const { taskId, attempt, fence, sessionId } = delivered.lease;
    if (taskId !== task.id || attempt !== 1 || !(fence > 0) || sessionId !== session.id)
      throw new Finding(
        `the lease is ${JSON.stringify(delivered.lease)}`,
        `it must be { taskId: '${task.id}', attempt: 1, fence: 1 or more, sessionId: '${session.id}' }`,
      );
    if (delivered.input !== task.input)
      throw new Finding(`the input is ${delivered.input}`, 'keep payloads as the text they are');
    return delivered;
  });
  await step('settle answers `applied`, and `stale` the second time', async () => {
    const complete = { type: 'complete', lease: delivery.lease } as const;
    const outcomes = [...(await session.settle([complete])), ...(await session.settle([complete]))];
    if (outcomes.join() !== 'applied,stale')
      throw new Finding(
        `it answered ${outcomes.join()}`,
        'check task, fence and session in the step that changes the task; a used lease is stale',
      );
  });
  await step('end, maintain and health answer', async () => {
    await session.end();
    await broker.maintain({ maxTasks: 100 });
    const { state } = await broker.health();
    if (state !== 'ready') throw new Finding(`health is ${state}`, "health is 'ready' while the broker is open");
  });
}

/** Core, group by group; the first one with a failure is what to work on. */
async function growToCore(harness: BrokerHarness, terminal: Terminal): Promise<boolean> {
  const circumstances = await surveyBroker(harness);
  const core = scenarios.filter((scenario) => scenario.tier === 'core');
  const groups = [...new Set([...groupsInOrder, ...core.map(groupOf)])];
  const missing = new Map<string, string[]>();
  for (const group of groups) {
    const results = await runGroup(
      core.filter((scenario) => groupOf(scenario) === group),
      circumstances,
    );
    if (results.length === 0) continue;
    for (const { id, status, reason = '' } of results) {
      if (status === 'not-run') missing.set(reason, [...(missing.get(reason) ?? []), id]);
    }
    const failed = results.filter(({ status }) => status === 'fail' || status === 'error');
    const passed = results.filter(({ status }) => status === 'pass').length;
    terminal.out(`${failed.length === 0 ? 'ok   ' : 'STOP '} ${group}: ${passed} of ${passed + failed.length} pass`);
    if (failed.length > 0) return tellFailures(failed, terminal);
  }
  terminal.out('Core is reached.');
  for (const [reason, ids] of missing) terminal.out(`open  ${reason}: ${ids.join(', ')}`);
  terminal.out('next  millrace-conformance run: what you claim beyond, and faults');
  return true;
}

async function runGroup(group: readonly Scenario[], circumstances: Circumstances): Promise<ScenarioResult[]> {
  const results: ScenarioResult[] = [];
  for (const scenario of group) results.push(await runScenario(scenario, circumstances));
  return results;
}

function tellFailures(failed: readonly ScenarioResult[], terminal: Terminal): false {
  for (const { id, title, rule, reason = '' } of failed.slice(0, shownFailures)) {
    const text = rules.find((each) => each.id === rule)?.text ?? '';
    terminal.out(
      `      ${id} ${title}\n        ${rule}: ${text}\n        ${reason.split('\n').slice(0, 4).join('\n        ')}`,
    );
  }
  if (failed.length > shownFailures) terminal.out(`      and ${failed.length - shownFailures} more`);
  terminal.out(`next  millrace-conformance explain ${failed[0]?.id}`);
  return false;
}

function describe(error: unknown): string {
  if (isMillraceError(error)) return `${error.code} (${error.message})`;
  return error instanceof Error ? `${error.name}: ${error.message}` : String(error);
}
