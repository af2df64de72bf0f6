import { hash } from 'node:crypto';
import type { Payload, TaskHeaders } from '@millrace/core';

/** Stands for content in a journal: two that differ are told apart, and no payload leaks into a report. */
export function digest(text: string | undefined): string {
  // An absent input and an empty one are different inputs.
  return text === undefined ? '-' : hash('sha1', text, 'base64url').slice(0, 12);
}

/** Digest of what must arrive as it was enqueued: the input, then name and headers. */
export function contentDigest(task: {
  readonly name: string;
  readonly headers: TaskHeaders;
  readonly input?: Payload;
}): string {
  const headers = Object.entries(task.headers).sort(([a], [b]) => (a < b ? -1 : 1));
  return `${digest(task.input)}.${digest(JSON.stringify([task.name, headers]))}`;
}
