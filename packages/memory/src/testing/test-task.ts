import {
  type Client,
  decodePayload,
  type TaskDefinition,
  type TaskInput,
  type TaskOutput,
  type TaskRecord,
} from '@millrace/core';

/** A stored task with its payloads decoded; absent ones are `undefined`. */
export interface TestTask<D extends TaskDefinition = TaskDefinition>
  extends Omit<TaskRecord, 'input' | 'output' | 'checkpoint' | 'progress'> {
  readonly input: TaskInput<D>;
  readonly output: TaskOutput<D> | undefined;
  readonly checkpoint: unknown;
  readonly progress: unknown;
}

/** Every task of a definition, or every task there is, in the order they were created. */
export async function readTasks<D extends TaskDefinition>(
  client: Client<never>,
  definition: D | undefined,
): Promise<TestTask<D>[]> {
  const tasks: TestTask<D>[] = [];
  const filter = definition === undefined ? {} : { names: [definition.name] };
  for await (const record of client.tasks.all(filter)) {
    tasks.push({
      ...record,
      input: decodePayload(record.input) as TaskInput<D>,
      output: decodePayload(record.output) as TaskOutput<D> | undefined,
      checkpoint: decodePayload(record.checkpoint),
      progress: decodePayload(record.progress),
    });
  }
  return tasks.reverse();
}
