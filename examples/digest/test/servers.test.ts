import { randomBytes } from 'node:crypto';
import { expect, test } from 'vitest';
import { DigestProcess, runDigest } from './digest-process.ts';
import { expectSums } from './sums-checks.ts';
import { manyFiles, temporaryFolder, writeFiles } from './temporary-folder.ts';

/** A corner of its own at a server that `npm test` has started. */
function cornerOf(url: string | undefined, option: string): string | undefined {
  if (url === undefined) return undefined;
  const corner = new URL(url);
  corner.searchParams.set(option, `digest_${randomBytes(4).toString('hex')}`);
  return corner.href;
}

const { MILLRACE_TEST_POSTGRES_URL, MILLRACE_TEST_REDIS_URL, MILLRACE_TEST_AMQP_URL } = process.env;

for (const [name, url] of [
  ['Postgres', cornerOf(MILLRACE_TEST_POSTGRES_URL, 'schema')],
  ['Redis', cornerOf(MILLRACE_TEST_REDIS_URL, 'prefix')],
  ['RabbitMQ', cornerOf(MILLRACE_TEST_AMQP_URL, 'namespace')],
] as const) {
  test.skipIf(url === undefined)(
    `${name}: killed half-way and started again, it completes [needs ${name}]`,
    async () => {
      const folder = temporaryFolder();
      writeFiles(folder, manyFiles(300));
      const killed = new DigestProcess({ url, args: [folder], pauseMs: 200 });
      await killed.until(/^[1-9]\d* of 300 files/m);
      killed.child.kill('SIGKILL');
      await killed.ended;
      const { code, stdout, stderr } = await runDigest({ url, args: [folder] });
      expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
      expect(stdout).toContain('300 files');
      expectSums(folder, 300);
    },
  );
}
