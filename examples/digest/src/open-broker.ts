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
  const { tasks } = await broker.open();
  if (tasks.list && tasks.count && tasks.wait) return broker;
  await broker.close();
  throw new UsageError(
    `MILLRACE_URL: the ${broker.kind} broker keeps no results, which this example lives on; see docs/choosing-a-broker.md`,
  );
}

function explain(error: MillraceError, { dataFolder }: Settings): string {
  const message = error.message.replace(/^(?:open|connect): /, '').replaceAll(/\s+/g, ' ');
  if (error.reason === 'folder-in-use') {
    return `${message}: MILLRACE_URL=postgres://user:password@localhost/database npm start`;
  }
  return dataFolder === undefined ? `MILLRACE_URL: ${message}` : message;
}
