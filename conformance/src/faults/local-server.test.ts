import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, afterEach, expect, it } from 'vitest';
import { type LocalServer, localServer } from './local-server.ts';
import { processTree } from './process-tree.ts';

// A server that keeps data, has a child process, and answers with how often it was started.
const program = `
import { spawn } from 'node:child_process';
import { appendFileSync, readFileSync } from 'node:fs';
import { createServer } from 'node:net';
const [, , dir, port] = process.argv;
appendFileSync(dir + '/starts', 'x');
const child = spawn(process.execPath, ['-e', 'setInterval(() => {}, 1000)'], { stdio: 'ignore', detached: true });
const starts = readFileSync(dir + '/starts', 'utf8').length;
createServer((socket) => socket.on('error', () => {}).end(String(starts))).listen(Number(port), '127.0.0.1', () => {
  console.log('ready at last');
});
process.on('SIGTERM', () => { child.kill(); console.log('stopped gracefully'); process.exit(0); });
`;

const folder = mkdtempSync(path.join(tmpdir(), 'millrace-test-'));
const file = path.join(folder, 'server.mjs');
writeFileSync(file, program);
const servers: LocalServer[] = [];

async function start(ready: 'tcp' | RegExp): Promise<LocalServer> {
  const server = await localServer({
    start: ({ dir, port }) => [process.execPath, file, dir, String(port)],
    ready,
    // The file belongs to whoever runs this test.
    user: { uid: process.getuid?.() ?? 0, gid: process.getgid?.() ?? 0 },
  });
  servers.push(server);
  return server;
}

function ask(server: LocalServer): Promise<string> {
  return new Promise((resolve, reject) => {
    let answer = '';
    connect({ port: server.place.port, host: '127.0.0.1' })
      .on('data', (chunk) => {
        answer += chunk;
      })
      .on('error', reject)
      .on('end', () => resolve(answer));
  });
}

afterAll(() => rmSync(folder, { recursive: true, force: true }));

afterEach(async () => {
  for (const server of servers.splice(0)) await server.close();
});

it('keeps data and port over restarts, graceful and not, and logs', async () => {
  const server = await start(/ready at last/);
  expect(await ask(server)).toBe('1');
  await server.restart('kill');
  expect(await ask(server)).toBe('2');
  expect(await server.logs()).not.toContain('gracefully');
  await server.restart('graceful');
  expect(await ask(server)).toBe('3');
  expect(await server.logs()).toContain('stopped gracefully');
  expect(server.endpoints).toEqual([{ role: 'server', host: '127.0.0.1', port: server.place.port }]);
});

it('kills children that are in groups of their own', async () => {
  const server = await start('tcp');
  const tree = await processTree(server.pid as number);
  expect(tree.length).toBe(2);
  await server.stop('kill');
  expect(server.pid).toBeUndefined();
  await expect(ask(server)).rejects.toThrow('ECONNREFUSED');
  const states = tree.map((pid) => {
    try {
      return readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1]?.[0];
    } catch {
      return 'gone';
    }
  });
  expect(states.every((state) => state === 'gone' || state === 'Z' || state === 'X')).toBe(true);
});

it('freezes and thaws', async () => {
  const server = await start('tcp');
  await server.freeze();
  const answer = ask(server);
  // Accepted by the kernel, answered by nobody: only the thaw lets it end.
  let answered = false;
  void answer.then(() => {
    answered = true;
  });
  await new Promise((resolve) => setImmediate(resolve));
  expect(answered).toBe(false);
  await server.thaw();
  expect(await answer).toBe('1');
});

it('says why it did not start', async () => {
  const failing = localServer({
    name: 'broken',
    start: () => [process.execPath, '-e', 'console.error("no disk"); process.exit(3)'],
    ready: 'tcp',
  });
  await expect(failing).rejects.toThrow(/broken did not start \(exit 3\):\nno disk/);
});
