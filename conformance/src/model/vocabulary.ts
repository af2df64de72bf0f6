import type { FailureKind, NewTask } from '@millrace/core';
import type { TaskSpec } from './command.ts';
import type { ModelRules } from './rules.ts';
import type { Scale } from './scale.ts';

/** Names that a backend which folds case would take for one. */
export const queueNames: readonly string[] = ['q', 'Q'];
export const taskNames: readonly string[] = ['a', 'A'];
/** Inputs that a store which looks into them would change. */
const inputs: readonly (string | undefined)[] = [
  '1',
  undefined,
  'null',
  '{"b":1,"a":[2.50,1e2]}',
  '"\\u0000 ö🚀"',
  '{"__proto__":{"x":1}}',
];
export const failureKinds: readonly FailureKind[] = ['error', 'timeout', 'invalid', 'unregistered'];
const keys: readonly (string | undefined)[] = [undefined, 'k0', 'k1'];
export const priorities: readonly number[] = [4, 4, 7, 0, 9];
const attempts: readonly number[] = [2, 1, 3, Number.POSITIVE_INFINITY];
export const limits: readonly number[] = [1, 2, 5];

/** The item of that place, counted round and round. */
export function at<T>(list: readonly T[], index: number): T | undefined {
  return list.length === 0 ? undefined : list[index % list.length];
}

/** A task with nothing special about it. */
export const plainSpec: TaskSpec = {
  name: 0,
  queue: 0,
  key: 0,
  until: 'settled',
  conflict: 'ignore',
  delay: 0,
  expiry: 0,
  priority: 0,
  attempts: 0,
  input: 0,
  past: false,
  invalid: false,
};

/** A task as a program means it, as far as the broker claims what it needs. */
export function newTask(id: string, spec: TaskSpec, rules: ModelRules, scale: Scale): NewTask {
  const { unique } = rules.capabilities;
  const key = unique === false ? undefined : at(keys, spec.key);
  const expiresInMs = at(scale.expiries, spec.expiry);
  const input = at(inputs, spec.input);
  const mayReplace = unique !== false && unique.replace;
  return {
    id,
    name: at(taskNames, spec.name) as string,
    queue: at(queueNames, spec.queue) as string,
    headers: spec.name === 1 ? { Trace: id } : {},
    priority: spec.invalid ? 99 : (at(priorities, spec.priority) as number),
    delayMs: at(scale.delays, spec.delay) ?? 0,
    maxAttempts: at(attempts, spec.attempts) as number,
    version: 1,
    ...(input !== undefined && { input }),
    ...(spec.past && { delayMs: 0, runAt: 0 }),
    ...(expiresInMs !== undefined && { expiresInMs }),
    ...(key !== undefined &&
      unique !== false && {
        key,
        keyUntil: unique.until.includes(spec.until) ? spec.until : (unique.until[0] ?? 'settled'),
        onConflict: mayReplace ? spec.conflict : 'ignore',
      }),
  };
}
