import { isTerminal, type QueueStats, type TaskFilter, type TaskRecord, type TaskState } from '@millrace/core';
import type { ModelOutcome, Occasion } from '../operation.ts';
import { isRecordOf } from '../record-match.ts';
import type { ModelRules } from '../rules.ts';
import { type ModelState, type ModelTask, visibleStates, withTask } from '../state.ts';
import type { Step } from '../step.ts';
import { type Variant, variantsOf } from './background.ts';

/** What `get` may show, and what is known after it. */
export function applyGet(
  state: ModelState,
  ids: readonly string[],
  occasion: Occasion,
  rules: ModelRules,
  observed?: ModelOutcome,
): Step[] {
  if (observed !== undefined && (observed.type !== 'get' || observed.records.length !== ids.length)) return [];
  let ways: { readonly records: (TaskRecord | undefined)[]; readonly state: ModelState }[] = [{ records: [], state }];
  for (const [index, id] of ids.entries()) {
    const seen = observed?.records[index];
    ways = ways.flatMap((way) => {
      const task = way.state.tasks.get(id);
      const variants = task === undefined ? [undefined] : variantsOf(way.state, task, occasion.now, rules);
      return variants
        .filter((variant) => observed === undefined || isRecordOf(variant, seen, occasion))
        .map((variant) => ({
          records: [...way.records, seen ?? recordOf(variant, occasion)],
          state: withTask(way.state, id, variant),
        }));
    });
  }
  return ways.map((way) => ({ outcome: { type: 'get', records: way.records }, state: way.state }));
}

/** Numbers a count may have, from what is sure to what is possible. */
export interface Range {
  readonly from: number;
  readonly to: number;
}

/** How many tasks are counted that way: variants of one task count at most once. */
export function countRange(
  state: ModelState,
  occasion: Occasion,
  rules: ModelRules,
  counts: (task: ModelTask, visible: TaskState) => boolean,
): Range {
  let from = 0;
  let to = 0;
  for (const task of state.tasks.values()) {
    const answers = variantsOf(state, task, occasion.now, rules).flatMap((variant: Variant) =>
      variant === undefined ? [false] : visibleStates(variant, occasion.now).map((visible) => counts(variant, visible)),
    );
    if (answers.every(Boolean)) from += 1;
    if (answers.some(Boolean)) to += 1;
  }
  return { from, to };
}

/** Whether a task is one of those a filter asks for. */
export function passes(task: ModelTask, visible: TaskState, filter: TaskFilter): boolean {
  const { content } = task;
  return (
    filter.ids?.includes(task.id) !== false &&
    filter.queues?.includes(task.queue) !== false &&
    filter.names?.includes(content.name) !== false &&
    filter.states?.includes(visible) !== false &&
    (filter.key === undefined || filter.key === content.key) &&
    (filter.group === undefined || filter.group === content.group) &&
    (filter.owner === undefined || filter.owner === content.owner)
  );
}

export function applyCount(
  state: ModelState,
  filter: TaskFilter,
  occasion: Occasion,
  rules: ModelRules,
  observed?: ModelOutcome,
): Step[] {
  const range = countRange(state, occasion, rules, (task, visible) => passes(task, visible, filter));
  const seen = observed?.type === 'count' ? observed.count : undefined;
  if (observed !== undefined && (seen === undefined || seen < range.from || seen > range.to)) return [];
  return [{ outcome: { type: 'count', count: seen ?? range.from }, state }];
}

/** A listing shows everything that is sure once, and nothing that is impossible. */
export function applyList(
  state: ModelState,
  filter: TaskFilter,
  occasion: Occasion,
  rules: ModelRules,
  observed?: ModelOutcome,
): Step[] {
  const sure: string[] = [];
  const possible = new Set<string>();
  for (const task of state.tasks.values()) {
    const range = countRange({ ...state, tasks: new Map([[task.id, task]]) }, occasion, rules, (each, visible) =>
      passes(each, visible, filter),
    );
    if (range.from === 1) sure.push(task.id);
    if (range.to === 1) possible.add(task.id);
  }
  if (observed === undefined) return [{ outcome: { type: 'list', ids: sure }, state }];
  if (observed.type !== 'list') return [];
  const listed = new Set(observed.ids);
  const isRight =
    listed.size === observed.ids.length &&
    sure.every((id) => listed.has(id)) &&
    observed.ids.every((id) => possible.has(id));
  return isRight ? [{ outcome: observed, state }] : [];
}

const statsFields: readonly (readonly [keyof QueueStats, TaskState])[] = [
  ['pending', 'pending'],
  ['scheduled', 'scheduled'],
  ['retrying', 'retrying'],
  ['running', 'running'],
  ['pausedTasks', 'paused'],
];

export function applyStats(
  state: ModelState,
  queue: string,
  occasion: Occasion,
  rules: ModelRules,
  observed?: ModelOutcome,
): Step[] {
  const ranges = statsFields.map(([field, counted]) => {
    const counts = (task: ModelTask, visible: TaskState): boolean =>
      task.queue === queue && !isTerminal(visible) && visible === counted;
    return [field, countRange(state, occasion, rules, counts)] as const;
  });
  const paused = state.pausedQueues.has(queue);
  if (observed === undefined) {
    const numbers = Object.fromEntries(ranges.map(([field, range]) => [field, range.from]));
    return [{ outcome: { type: 'queueStats', stats: { queue, paused, ...numbers } }, state }];
  }
  if (observed.type !== 'queueStats') return [];
  const { stats } = observed;
  const exact = rules.capabilities.queues.counts === 'exact';
  const isRight = ranges.every(([field, range]) => {
    const seen = stats[field];
    // What a broker cannot know is absent; what it knows roughly is not checked here.
    return !exact || (typeof seen === 'number' && seen >= range.from && seen <= range.to);
  });
  return isRight && stats.paused === paused && stats.queue === queue ? [{ outcome: observed, state }] : [];
}

function recordOf(task: Variant, { now }: Occasion): TaskRecord | undefined {
  if (task === undefined) return undefined;
  const { name, headers, priority, maxAttempts, version, input, timeoutMs, key, group, owner } = task.content;
  return {
    id: task.id,
    name,
    queue: task.queue,
    state: visibleStates(task, now)[0] ?? task.state,
    headers,
    priority,
    attempt: task.attempt,
    maxAttempts,
    fence: task.fence,
    runAt: task.due.from,
    errors: task.errors.map((error) => ({ name: '', message: '', at: now.from, ...error })),
    log: task.log.map((message) => ({ level: 'info', message, at: 0 })),
    createdAt: task.created.from,
    version,
    ...(input !== undefined && { input }),
    ...(task.expiry !== undefined && { expiresAt: task.expiry.from }),
    ...(timeoutMs !== undefined && { timeoutMs }),
    ...(key !== undefined && { key }),
    ...(group !== undefined && { group }),
    ...(owner !== undefined && { owner }),
    ...(task.checkpoint !== undefined && { checkpoint: task.checkpoint }),
    ...(task.progress !== undefined && { progress: task.progress }),
    ...(task.output !== undefined && { output: task.output }),
    ...(task.ended !== undefined && { finishedAt: task.ended.from }),
    ...(task.worker !== undefined && { worker: task.worker }),
    ...(task.failure !== undefined && { failure: task.failure }),
    ...(task.requested !== undefined && { requested: task.requested }),
  };
}
