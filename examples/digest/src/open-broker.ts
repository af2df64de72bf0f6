import { type Broker, connect, isMillraceError, type MillraceError } from '@millrace/core';
import { type Settings, UsageError } from './settings.ts';

/** Opens the broker the settings name. @throws UsageError with one line that says what to do. */
export async function openBroker(settings: Settings): Promise<Broker<unknown>> {
  let broker: Broker<unknown>;
  try {
    broker = await connect(settings.url);
  } catch (error) {
    if (!isMillraceError(error)) throw error;
    throw new UsageError(explain(error, settings), { cause: error });
  }
  return broker;
}

/** Whether the broker keeps what the tasks return, so that any process can make the result of it. */
export async function keepsResults(broker: Broker<unknown>): Promise<boolean> {
  const { tasks } = await broker.open();
  return tasks.list && tasks.count && tasks.wait;
}

function explain(error: MillraceError, { dataFolder }: Settings): string {
  const message = error.message.replace(/^(?:open|connect): /, '').replaceAll(/\s+/g, ' ');
  if (error.reason === 'folder-in-use') {
    return `${message}: MILLRACE_URL=postgres://user:password@localhost/database npm start`;
  }
  return dataFolder === undefined ? `MILLRACE_URL: ${message}` : message;
}
