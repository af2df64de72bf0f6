import type { Lease, NewTask, SettleOp, TaskReport } from '@millrace/core';
import type { ModelOperation, ModelOutcome } from './operation.ts';
import { type RecordProblem, recordProblem } from './record-match.ts';
import type { Mismatch, ProgramRun, TraceStep } from './run-program.ts';

/** A run as the source of a scenario, ready to be pasted into a file of scenarios: its last assertion fails. */
export function scenarioSource(run: ProgramRun, replay: string): string {
  const { trace, mismatch } = run;
  const leases = new Map<string, Lease>();
  const lines = trace.flatMap(({ operation, outcome }, index) => {
    const isLast = index === trace.length - 1;
    if (isLast && mismatch !== undefined) return lastStatements(run, mismatch, leases);
    return statements(operation, outcome, `claimed${index}`, leases);
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

/** The step at which broker and model parted, with what the model allows. */
function lastStatements({ trace }: ProgramRun, mismatch: Mismatch, leases: Map<string, Lease>): string[] {
  const { operation, outcome } = trace.at(-1) as TraceStep;
  const [legal = outcome] = mismatch.expected;
  switch (operation.type) {
    case 'get':
      return operation.ids.flatMap((id, index) => {
        const record = outcome.type === 'get' ? outcome.records[index] : undefined;
        const problem = recordProblem(mismatch.state.tasks.get(id), record, mismatch.occasion);
        return problem === undefined ? [] : wrongRecord(id, problem, record === undefined);
      });
    case 'queueStats':
      return [`const [stats] = await t.broker.queues.stats([${quote(operation.queue)}]);`, statsExpected(legal)];
    case 'count': {
      const count = legal.type === 'count' ? legal.count : 0;
      return [expectEqual(`await t.tasks.count(${source(operation.filter)})`, count, 'the count')];
    }
    case 'list': {
      const listed = `(await t.tasks.list(${source(operation.filter)}, { limit: 1_000 })).tasks.map((task) => task.id).sort()`;
      return [expectEqual(listed, legal.type === 'list' ? [...legal.ids].sort() : [], 'the tasks listed')];
    }
    default:
      return statements(operation, legal, 'claimed', leases);
  }
}

function wrongRecord(id: string, { field, expected, text }: RecordProblem, isMissing: boolean): string[] {
  const find = `await t.find(${quote(id)})`;
  if (field !== undefined) return [expectEqual(`(${find})?.${field}`, expected, `${field} of ${id}`)];
  return [
    `// ${id}: ${text}`,
    isMissing ? `t.defined(${find}, ${quote(id)});` : `t.equal(${find}, undefined, ${quote(id)});`,
  ];
}

function statsExpected(legal: ModelOutcome): string {
  return expectEqual('stats', legal.type === 'queueStats' ? legal.stats : undefined, 'the statistics');
}

/** What a step that went well did. Reads are left out: they change nothing. */
function statements(
  operation: ModelOperation,
  outcome: ModelOutcome,
  variable: string,
  leases: Map<string, Lease>,
): string[] {
  switch (operation.type) {
    case 'enqueue':
      return enqueue(operation.tasks, outcome);
    case 'openSession':
      return [`const ${operation.session} = await t.holder({ own: true, ttlMs: ${operation.ttlMs} });`];
    case 'claim': {
      const { queues, names, limit } = operation.request;
      return claim(operation.session, source({ queues, names, limit }), outcome, variable, leases);
    }
    case 'settle':
    case 'report':
      return held(operation, outcome, leases);
    case 'endSession':
      return [`await ${operation.session}.${operation.close ? 'client.close' : 'session.end'}();`];
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
    case 'queuePurge': {
      const count = outcome.type === 'count' ? outcome.count : 0;
      return [expectEqual(`await t.broker.queues.purge(${quote(operation.queue)})`, count, 'tasks purged')];
    }
    case 'advance':
      return [`await t.advance(${operation.ms});`];
    case 'maintain':
      return ['await t.maintain();'];
    default:
      return [];
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

function claim(
  session: string,
  request: string,
  outcome: ModelOutcome,
  name: string,
  leases: Map<string, Lease>,
): string[] {
  if (outcome.type !== 'claim') {
    const code = outcome.type === 'error' ? outcome.code : 'VALIDATION';
    return [`await t.refuses(() => ${session}.claim(${request}), ${quote(code)}, 'a claim');`];
  }
  const ids = outcome.deliveries.map((delivery) => delivery.lease.taskId).sort();
  return [
    `const ${name} = await ${session}.claim(${request});`,
    expectEqual(`${name}.map((delivery) => delivery.lease.taskId).sort()`, ids, 'tasks claimed'),
    ...outcome.deliveries.flatMap(({ lease }) => {
      leases.set(variableOf(lease), lease);
      return leaseStatements(lease, name);
    }),
  ];
}

function leaseStatements(lease: Lease, claimed: string): string[] {
  const found = `${claimed}.find((delivery) => delivery.lease.taskId === ${quote(lease.taskId)})`;
  return [
    `const ${variableOf(lease)} = t.defined(${found}, ${quote(lease.taskId)}).lease;`,
    expectEqual(`${variableOf(lease)}.attempt`, lease.attempt, `attempt of ${lease.taskId}`),
  ];
}

function variableOf(lease: Lease): string {
  return `${lease.taskId}_${lease.fence}`;
}

/** A lease that was given out by its variable, one that was made up from the one it was made of. */
function leaseSource(lease: Lease, leases: ReadonlyMap<string, Lease>): string {
  if (leases.has(variableOf(lease))) return variableOf(lease);
  const base = [...leases.values()].find((each) => each.taskId === lease.taskId && each.sessionId === lease.sessionId);
  return base === undefined ? source(lease) : `{ ...${variableOf(base)}, fence: ${lease.fence} }`;
}

function held(
  operation: Extract<ModelOperation, { readonly type: 'settle' | 'report' }>,
  outcome: ModelOutcome,
  leases: ReadonlyMap<string, Lease>,
): string[] {
  const outcomes = outcome.type === 'settle' ? outcome.outcomes : [];
  const call = operation.type === 'settle' ? 'settleAll' : 'session.report';
  const parts: readonly (SettleOp | TaskReport)[] =
    operation.type === 'settle' ? operation.operations : operation.reports;
  const written = parts.map(({ lease, ...others }) => {
    const text = source(others);
    return `{ lease: ${leaseSource(lease, leases)}, ${text.slice(2)}`;
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
