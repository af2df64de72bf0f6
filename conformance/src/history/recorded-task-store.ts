import type { ControlOutcome, TaskRecord, TaskStore } from '@millrace/core';
import { contentDigest, digest } from './digest.ts';
import type { EventFields, RecordedCall } from './event.ts';
import type { RecordedRole } from './recorded-role.ts';
import type { OpenCall } from './recorder.ts';

/** A task store that writes down what it is asked and what it answers. */
export function recordTaskStore(store: TaskStore, role: RecordedRole): TaskStore {
  const begin = (op: RecordedCall, ids: readonly string[], fields: EventFields = {}): OpenCall[] =>
    ids.map((task) => role.begin(op, { ...fields, task }));
  const control = (
    op: RecordedCall,
    ids: readonly string[],
    run: () => Promise<ControlOutcome[]>,
    fields: EventFields = {},
  ): Promise<ControlOutcome[]> => role.each(begin(op, ids, fields), run, (outcome) => ({ outcome }));

  return {
    get: (ids) => role.each(begin('get', ids), () => store.get(ids), tellRecord),
    list: (filter, page) =>
      role.whole(
        'list',
        {},
        () => store.list(filter, page),
        ({ tasks }) => ({ args: { count: tasks.length } }),
      ),
    count: (filter) =>
      role.whole(
        'count',
        {},
        () => store.count(filter),
        (count) => ({ args: { count } }),
      ),
    cancel: (ids) => control('cancel', ids, () => store.cancel(ids)),
    pause: (ids) => control('pause', ids, () => store.pause(ids)),
    resume: (ids) => control('resume', ids, () => store.resume(ids)),
    rerun: (ids) => control('rerun', ids, () => store.rerun(ids)),
    reschedule: (ids, due) => {
      const args =
        'at' in due ? ({ delayMs: due.at - role.epoch(), absolute: true } as const) : { delayMs: due.delayMs };
      return control('reschedule', ids, () => store.reschedule(ids, due), { args });
    },
    update: (ids, changes) => {
      const { input, priority, group } = changes;
      const args = { ...(priority !== undefined && { priority }), ...(group !== undefined && { group }) };
      const hash = input === undefined ? {} : { hash: digest(input) };
      return control('update', ids, () => store.update(ids, changes), { args, ...hash });
    },
    remove: (ids) => control('remove', ids, () => store.remove(ids)),
    wait: (ids, options) =>
      role.each(begin('wait', ids, { args: { waitMs: options.waitMs } }), () => store.wait(ids, options), tellRecord),
    events: async function* (filter, options) {
      for await (const event of store.events(filter, options)) {
        const { taskId: task, queue, attempt, state } = event;
        role.note('taskEvent', { task, queue, attempt, args: { state } });
        yield event;
      }
    },
  };
}

function tellRecord(record: TaskRecord | undefined): { readonly outcome: string; readonly fields: EventFields } {
  return { outcome: 'ok', fields: recordFields(record) };
}

/** What is written down of a stored task. */
export function recordFields(record: TaskRecord | undefined): EventFields {
  if (record === undefined) return { args: { state: 'gone' } };
  const { state, failure, output, requested } = record;
  return {
    queue: record.queue,
    fence: record.fence,
    attempt: record.attempt,
    hash: contentDigest(record),
    args: {
      state,
      ...(failure !== undefined && { kind: failure }),
      ...(output !== undefined && { output: digest(output) }),
      ...(requested !== undefined && { request: requested }),
    },
  };
}
