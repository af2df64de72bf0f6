// A program that knows nothing but a URL: runs one task, and ends by itself.
import { connect, createClient, createWorker, defineTask, handle, isMillraceError } from '@millrace/core';

const greet = defineTask({ name: 'greet', queue: 'greetings' });

try {
  const broker = await connect(process.env.MILLRACE_URL);
  const client = createClient({ broker });
  let finish = (): void => {};
  const ran = new Promise<void>((resolve) => {
    finish = resolve;
  });
  const worker = createWorker({ broker, handlers: [handle(greet, async () => finish())] });
  await worker.start();
  await client.enqueue(greet, undefined);
  await ran;
  await worker.stop();
  await client.close();
  console.log('ran');
} catch (error) {
  console.log(isMillraceError(error) ? `${error.code} ${error.message}` : `not ours: ${String(error)}`);
}
