// A worker whose handler blocks the event loop. Arguments: URL, how long in milliseconds, what the heartbeat thread
// forgives in milliseconds (0: no thread), where it leads if elsewhere. Only a process of its own can be blocked without blocking the test.
import { connect, createWorker, defineTask, handle } from '@millrace/core';

const [url = '', blockMs = '0', forgivenMs = '0', threadUrl = url] = process.argv.slice(2);
const worker = createWorker({
  broker: await connect(url),
  handlers: [
    handle(defineTask({ name: 'block' }), async (_input, { signal }) => {
      process.send?.('blocking');
      // The message has to leave first.
      await new Promise((resolve) => setTimeout(resolve, 50));
      // Without computing: other tests run beside this one.
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, Number(blockMs));
      // Whatever fell due meanwhile comes first.
      await new Promise((resolve) => setTimeout(resolve, 50));
      process.send?.(signal.aborted ? 'lost' : 'kept');
      return 'by the blocker';
    }),
  ],
  sessionTtl: '1s',
  instance: 'blocker',
  ...(forgivenMs !== '0' && { heartbeatThread: { url: threadUrl, blockedAtMost: Number(forgivenMs) } }),
});
process.on('message', async () => {
  await worker.stop();
  process.disconnect();
});
await worker.start().then(
  () => process.send?.('started'),
  ({ code, option }: { code: string; option: string }) => process.send?.(`${code} ${option}`),
);
