import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { type AddressInfo, createServer } from 'node:net';
import { expect, test } from 'vitest';
import { listenerOn } from './processor-time.ts';

const tells = existsSync('/proc/net/tcp');

test('the process behind a port is found where /proc tells, and nobody once the port is free', async () => {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  expect(listenerOn(port)).toBe(tells ? process.pid : undefined);
  server.close();
  await once(server, 'close');
  expect(listenerOn(port)).toBeUndefined();
});
