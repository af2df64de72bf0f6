import type { Delivery, Lease, NewTask, SettleOp, TaskReport } from '@millrace/core';
import type { ModelOperation, ModelOutcome } from './operation.ts';
import type { ProgramRun } from './run-program.ts';

/** A run as the source of a scenario, ready to be pasted into a file of scenarios: its last assertion fails. */
export function scenarioSource(run: ProgramRun, replay: string): string {
  const { trace, mismatch } = run;
  const lines = trace.flatMap(({ operation, outcome }, index) => {
    const isLast = index === trace.length - 1 && mismatch !== undefined;
    const [legal] = mismatch?.expected ?? [];
    return statements(operation, isLast && legal !== undefined ? legal : outcome, index);
  });
  return [
    '{',
    "  id: 'XXX-00',",
    "  rule: 'R-XXX-0',",
    `  title: ${quote(`found by the model, ${replay}`)},`,
    "  tier: 'core',",
    '  async run(t) {',
    ...lines.map((line) => `    ${line}`),
    ...(mismatch === undefined ? [] : [`    // ${mismatch.why}`]),
    '  },',
    '},',
  ].join('\n');
}

function statements(operation: ModelOperation, outcome: ModelOutcome, index: number): string[] {
  switch (operation.type) {
    case 'enqueue':
      return enqueue(operation.tasks, outcome);
    case 'openSession':
      return [`const ${operation.session} = await t.holder({ own: true, ttlMs: ${operation.ttlMs} });`];
    case 'claim': {
      const { queues, names, limit } = operation.request;
      return claim(operation.session, source({ queues, names, limit }), outcome, `claimed${index}`);
    }
    case 'settle':
    case 'report':
      return held(operation, outcome);
    case 'endSession':
      return [
        operation.close ? `await ${operation.session}.client.close();` : `await ${operation.session}.session.end();`,
      ];
    case 'freeze':
      return [`${operation.session}.freeze();`];
    case 'thaw':
      return [`${operation.session}.client.thaw();`];
    case 'control':
      return control(operation, outcome);
    case 'queuePause':
      return [`await t.broker.queues.pause(${quote(operation.queue)});`];
    case 'queueResume':
      return [`await t.broker.queues.resume(${quote(operation.queue)});`];
    case 'queuePurge':
      return [
        expectEqual(
          `await t.broker.queues.purge(${quote(operation.queue)})`,
          outcome.type === 'count' ? outcome.count : 0,
          'tasks purged',
        ),
      ];
    case 'queueStats':
      return [
        `const [stats${index}] = await t.broker.queues.stats([${quote(operation.queue)}]);`,
        `t.defined(stats${index}, 'the statistics');`,
      ];
    case 'get':
      return get(operation.ids, outcome);
    case 'count':
      return [
        expectEqual(
          `await t.tasks.count(${source(operation.filter)})`,
          outcome.type === 'count' ? outcome.count : 0,
          'the count',
        ),
      ];
    case 'list': {
      const listed = `(await t.tasks.list(${source(operation.filter)}, { limit: 1_000 })).tasks.map((task) => task.id).sort()`;
      return [expectEqual(listed, outcome.type === 'list' ? [...outcome.ids].sort() : [], 'the tasks listed')];
    }
    case 'advance':
      return [`await t.advance(${operation.ms});`];
    case 'maintain':
      return ['await t.maintain();'];
    case 'reopen':
      return ['// the main client is closed, and another one opened'];
  }
}

function enqueue(tasks: readonly NewTask[], outcome: ModelOutcome): string[] {
  const made = tasks.map((task) => {
    const { delayMs, headers, version: _version, ...others } = task;
    const changes = {
      ...others,
      ...(delayMs > 0 && { delayMs }),
      ...(Object.keys(headers).length > 0 && { headers }),
    };
    return `t.task(${source(changes)})`;
  });
  const statuses = outcome.type === 'enqueue' ? outcome.outcomes.map((each) => each.status) : [];
  return [
    expectEqual(
      `(await t.broker.enqueue([${made.join(', ')}])).map((outcome) => outcome.status)`,
      statuses,
      'outcomes',
    ),
  ];
}

function claim(session: string, request: string, outcome: ModelOutcome, name: string): string[] {
  if (outcome.type !== 'claim') {
    const code = outcome.type === 'error' ? outcome.code : 'VALIDATION';
    return [`await t.refuses(() => ${session}.claim(${request}), ${quote(code)}, 'a claim');`];
  }
  const ids = outcome.deliveries.map((delivery) => delivery.lease.taskId).sort();
  return [
    `const ${name} = await ${session}.claim(${request});`,
    expectEqual(`${name}.map((delivery) => delivery.lease.taskId).sort()`, ids, 'tasks claimed'),
    ...outcome.deliveries.flatMap((delivery) => leaseOf(delivery, name)),
  ];
}

function leaseOf({ lease }: Delivery, claimed: string): string[] {
  const found = `${claimed}.find((delivery) => delivery.lease.taskId === ${quote(lease.taskId)})`;
  return [
    `const ${variableOf(lease)} = t.defined(${found}, ${quote(lease.taskId)}).lease;`,
    expectEqual(`${variableOf(lease)}.attempt`, lease.attempt, `attempt of ${lease.taskId}`),
  ];
}

/** Leases are written down under their task and fence; one that was made up has no variable. */
function variableOf(lease: Lease): string {
  return `${lease.taskId}_${lease.fence}`;
}

function held(
  operation: Extract<ModelOperation, { readonly type: 'settle' | 'report' }>,
  outcome: ModelOutcome,
): string[] {
  const outcomes = outcome.type === 'settle' ? outcome.outcomes : [];
  const call = operation.type === 'settle' ? 'settleAll' : 'session.report';
  const parts: readonly (SettleOp | TaskReport)[] =
    operation.type === 'settle' ? operation.operations : operation.reports;
  const written = parts.map(({ lease, ...others }) => {
    const text = source(others);
    return `{ lease: ${variableOf(lease)}, ${text.slice(2)}`;
  });
  const what = operation.type === 'settle' ? operation.operations.map((each) => each.type).join(', ') : 'the report';
  return [expectEqual(`await ${operation.session}.${call}([${written.join(', ')}])`, outcomes, what)];
}

function control(operation: Extract<ModelOperation, { readonly type: 'control' }>, outcome: ModelOutcome): string[] {
  const more =
    operation.control === 'reschedule' ? operation.due : operation.control === 'update' ? operation.changes : undefined;
  const args = [source(operation.ids), ...(more === undefined ? [] : [source(more)])].join(', ');
  const outcomes = outcome.type === 'control' ? outcome.outcomes : [];
  return [expectEqual(`await t.tasks.${operation.control}(${args})`, outcomes, operation.control)];
}

function get(ids: readonly string[], outcome: ModelOutcome): string[] {
  if (outcome.type !== 'get') return [];
  return ids.map((id, index) => {
    const record = outcome.records[index];
    if (record === undefined) return `t.equal(await t.find(${quote(id)}), undefined, ${quote(`record of ${id}`)});`;
    const { state, attempt } = record;
    return `t.equal(pick(await t.record(${quote(id)}), ['state', 'attempt']), ${source({ state, attempt })}, ${quote(`record of ${id}`)});`;
  });
}

function expectEqual(call: string, value: unknown, what: string): string {
  return `t.equal(${call}, ${source(value)}, ${quote(what)});`;
}

/** A value as the source of a literal. */
function source(value: unknown): string {
  if (value === Number.POSITIVE_INFINITY) return 'Number.POSITIVE_INFINITY';
  if (typeof value === 'string') return quote(value);
  if (Array.isArray(value)) return `[${value.map(source).join(', ')}]`;
  if (typeof value !== 'object' || value === null) return String(value);
  const fields = Object.entries(value).map(([name, part]) => `${name}: ${source(part)}`);
  return fields.length === 0 ? '{}' : `{ ${fields.join(', ')} }`;
}

function quote(text: string): string {
  return `'${text.replaceAll('\\', '\\\\').replaceAll("'", "\\'").replaceAll('\n', '\\n')}'`;
}
