import type { TaskFailure } from '../task.ts';

const longestMessage = 2_000;
const longestStack = 4_000;

/**
 * Describes whatever a handler threw: an error, a string, `undefined`, a circular object, an error whose getters
 * throw (RTY-08). Never throws itself; text is bounded.
 */
export function describeFailure(error: unknown, kind: TaskFailure['kind'], worker: string): TaskFailure {
  if (typeof error !== 'object' || error === null) {
    return { kind, name: 'NonError', message: bound(safeText(error), longestMessage), worker };
  }
  const isError = looksLikeError(error);
  const name = textOf(error, 'name') ?? (isError ? 'Error' : 'NonError');
  const message = textOf(error, 'message') ?? (isError ? '' : safeText(error));
  const stack = withCause(error, textOf(error, 'stack'));
  return {
    kind,
    name: bound(name, 200),
    message: bound(message, longestMessage),
    ...(stack === undefined ? {} : { stack: bound(stack, longestStack) }),
    worker,
  };
}

function looksLikeError(value: object): boolean {
  try {
    return value instanceof Error;
  } catch {
    // A revoked proxy cannot even be asked for its prototype.
    return false;
  }
}

function withCause(error: object, stack: string | undefined): string | undefined {
  let cause: unknown;
  try {
    cause = (error as { cause?: unknown }).cause;
  } catch {
    return stack;
  }
  if (cause === undefined) return stack;
  const described = typeof cause === 'object' && cause !== null ? textOf(cause, 'message') : safeText(cause);
  // The cause comes first: a long stack must not push it out of the bound.
  return `caused by: ${bound(described ?? 'an object', 500)}\n${stack ?? ''}`;
}

function textOf(target: object, property: string): string | undefined {
  try {
    const value: unknown = (target as Record<string, unknown>)[property];
    return typeof value === 'string' ? value : undefined;
  } catch {
    return undefined;
  }
}

function safeText(value: unknown): string {
  try {
    return typeof value === 'object' ? (JSON.stringify(value) ?? String(value)) : String(value);
  } catch {
    return 'a value that cannot be shown';
  }
}

/** Cuts at a length without leaving half a character behind. */
function bound(text: string, length: number): string {
  const cut = text.length <= length ? text : `${text.slice(0, length - 1)}…`;
  return cut.toWellFormed();
}
