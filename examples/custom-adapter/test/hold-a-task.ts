// A process that claims a task and never ends it: node --import tsx hold-a-task.ts <directory>
import { fileBroker } from '../src/index.ts';

const broker = fileBroker({ directory: process.argv[2] ?? '' });
await broker.open();
const task = {
  id: 'held',
  name: 'greet',
  queue: 'mail',
  headers: {},
  priority: 4,
  delayMs: 0,
  maxAttempts: 3,
  version: 1,
};
await broker.enqueue([task]);
const session = await broker.openSession({ instance: 'doomed', host: 'here', ttlMs: 60_000, onSignal: () => {} });
const deliveries = await session.claim({ queues: ['mail'], names: ['greet'], limit: 1, waitMs: 0 });
console.log(deliveries.length);
setInterval(() => {}, 60_000);
