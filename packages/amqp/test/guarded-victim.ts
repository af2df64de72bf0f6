import { systemClock } from '@millrace/core';
import { amqpBroker } from '../src/index.ts';
import { changed } from './guarded-support.ts';
import { guardStores } from './guards.ts';
import { serverUrl } from './harness.ts';
import { newTask } from './support.ts';

// Enqueues one task and dies as soon as its record is there: the message that should bring it is never sent.
const [namespace = '', id = ''] = process.argv.slice(2);
const guard = changed(guardStores.postgres.guard({ namespace, clock: systemClock }, { mode: 'always' }), (broker) => ({
  enqueue: async (tasks, options) => {
    await broker.enqueue(tasks, options as never);
    process.kill(process.pid, 'SIGKILL');
    return new Promise(() => {});
  },
}));
const broker = amqpBroker({ url: serverUrl, namespace, guard });
await broker.open();
await broker.enqueue([newTask({ id })]);
