import { isMillraceError } from '@millrace/core';

/** `error:` and the code, or the class of what was thrown when it is none of Millrace's errors. */
export function errorOutcome(error: unknown): string {
  if (isMillraceError(error)) return `error:${error.code}`;
  return `error:${error instanceof Error ? error.name : typeof error}`;
}
