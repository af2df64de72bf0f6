import type { Guard, GuardOptions, OverdueRequest } from '../broker/guard.ts';
import { ValidationError } from '../errors.ts';
import { kindOf } from '../known-options.ts';
import { checkInteger, checkName } from './checks.ts';

/** What {@link readGuardOptions} makes of the options of a guard. */
export interface GuardSettings<Options extends GuardOptions> {
  readonly mode: Guard['mode'];
  readonly holds: Guard['holds'];
  /** The options that are left, for the store. */
  readonly store: Omit<Options, keyof GuardOptions>;
}

/** Takes apart what a guard is made of: its own options, checked, and those of its store. @throws ValidationError naming the option */
export function readGuardOptions<Options extends GuardOptions>(options: Options): GuardSettings<Options> {
  if (typeof options !== 'object' || options === null || Array.isArray(options)) {
    throw new ValidationError(`a guard needs an object of options; got ${kindOf(options)}`, { option: 'options' });
  }
  const { mode = 'needed', tasks, ...store } = options;
  if (mode !== 'needed' && mode !== 'always') {
    throw new ValidationError(`mode must be 'needed' or 'always'; got ${kindOf(mode)}`, { option: 'mode' });
  }
  if (tasks !== undefined && mode === 'always') {
    throw new ValidationError(
      "tasks names what is held with mode 'needed'; with mode 'always' all are, so leave it out",
      {
        option: 'tasks',
      },
    );
  }
  const names = checkTaskNames(tasks ?? []);
  return { mode, holds: (name) => mode === 'always' || names.has(name), store };
}

/** @throws ValidationError naming the option */
export function checkOverdueRequest(request: OverdueRequest): void {
  checkInteger(request.dueForMs, 'dueForMs', 0, Number.MAX_SAFE_INTEGER);
  checkInteger(request.limit, 'limit', 1, mostOverdue);
}

/** More than one round of looking ever has to bring. */
const mostOverdue = 10_000;

function checkTaskNames(tasks: readonly string[]): ReadonlySet<string> {
  if (!Array.isArray(tasks)) {
    throw new ValidationError(`tasks must be an array of task names; got ${kindOf(tasks)}`, { option: 'tasks' });
  }
  return new Set(tasks.map((name) => checkName(name, 'tasks')));
}
