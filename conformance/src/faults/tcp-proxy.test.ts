import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { LineBench, type LineClient } from './line-bench.ts';

let bench: LineBench;
let server: LineBench['server'];
let proxy: LineBench['proxy'];
let arrived: LineBench['arrived'];
const dial = (): LineClient => bench.dial();

beforeEach(async () => {
  bench = await LineBench.start();
  ({ server, proxy, arrived } = bench);
});

afterEach(() => bench.stop());

describe('a proxy without faults', () => {
  it('passes both ways, counts, and passes the end', async () => {
    const client = dial();
    expect(await client.ask('one')).toBe('one\n');
    expect(proxy.stats).toMatchObject({ opened: 1, open: 1, bytesOut: 4, bytesIn: 4 });
    expect(proxy.links[0]?.hasSent('one')).toBe(true);
    client.socket.end('two\n');
    expect(await client.end()).toBe('ended');
    expect(client.received).toBe('one\ntwo\n');
    expect(proxy.stats.open).toBe(0);
  });

  it('passes megabytes unchanged to a reader that starts late', async () => {
    const client = dial();
    const line = 'x'.repeat(1_500_000);
    client.socket.pause();
    client.send(line);
    setImmediate(() => client.socket.resume());
    await client.until(() => client.received.length === line.length + 1);
    expect(client.received === `${line}\n`).toBe(true);
  });

  it('resets a client whose server is not there', async () => {
    await new Promise((resolve) => server.close(resolve));
    expect(await dial().end()).toBe('ECONNRESET');
  });

  it('rewrites addresses', () => {
    const { port } = proxy;
    expect(proxy.url('postgres://u:p%40@db.example:5432/x?sslmode=disable')).toBe(
      `postgres://u:p%40@127.0.0.1:${port}/x?sslmode=disable`,
    );
    expect(proxy.url('redis://[::1]/3')).toBe(`redis://127.0.0.1:${port}/3`);
    expect(() => proxy.url('amqp://secret@a,b')).not.toThrow(/secret/);
    expect(() => proxy.url('pglite:./folder')).toThrow(/one host/);
  });
});

describe('connections that end', () => {
  it('severs chosen links and accepts new ones', async () => {
    const [first, second] = [dial(), dial()];
    await first.ask('a');
    await second.ask('listen');
    expect(proxy.sever((link) => link.hasSent('listen'))).toBe(1);
    expect(await second.end()).toBe('ECONNRESET');
    expect(await first.ask('b')).toBe('b\n');
    expect(await dial().ask('c')).toBe('c\n');
  });

  it('refuses by not listening, and by resetting', async () => {
    const first = dial();
    await first.ask('a');
    proxy.refuse();
    expect(await dial().end()).toBe('ECONNREFUSED');
    const counted = proxy.refuse('reset');
    await proxy.accept();
    expect(await dial().ask('b')).toBe('b\n');
    counted.heal();
    proxy.refuse('reset');
    expect(await dial().end()).toBe('ECONNRESET');
    expect(proxy.stats.refused).toBe(1);
    expect(await first.ask('c')).toBe('c\n');
    proxy.heal();
    expect(await dial().ask('d')).toBe('d\n');
  });

  it('cuts a link after exactly so many bytes of requests', async () => {
    const fault = proxy.cutAfter(6);
    const client = dial();
    expect(await client.ask('one')).toBe('one\n');
    client.send('two');
    expect(await client.end()).toBe('ECONNRESET');
    fault.heal();
    expect(await dial().ask('three')).toBe('three\n');
    expect(arrived).toEqual(['one', 'three']);
    expect(proxy.stats).toMatchObject({ cut: 1, bytesOut: 6 + 6 });
  });
});

describe('a black hole', () => {
  it('holds requests and answers until it is healed', async () => {
    const [client, other] = [dial(), dial()];
    await client.ask('a');
    await other.ask('b');
    const hole = proxy.blackhole('both', (link) => link.hasSent('a'));
    client.send('late');
    expect(await other.ask('c')).toBe('c\n');
    expect(arrived).toEqual(['a', 'b', 'c']);
    hole.heal();
    await client.until(() => client.received === 'a\nlate\n');
    expect(proxy.broken).toBe(false);
  });

  it('passes requests but no answers', async () => {
    const [client, other] = [dial(), dial()];
    await client.ask('a');
    const hole = proxy.blackhole('in', (link) => link.number === 1);
    client.send('applied');
    while (!arrived.includes('applied')) await other.ask('tick');
    expect(client.received).toBe('a\n');
    hole.heal();
    await client.until(() => client.received === 'a\napplied\n');
  });

  it('hides from the server that the client has gone, and from new links that there is a server', async () => {
    const client = dial();
    await client.ask('a');
    proxy.blackhole('out');
    client.socket.destroy();
    const late = dial();
    late.send('early');
    await new Promise((resolve) => late.socket.once('connect', resolve));
    const connections = (): Promise<number> =>
      new Promise((resolve) => server.getConnections((_error, count) => resolve(count)));
    expect(await connections()).toBe(1);
    expect(proxy.stats.open).toBe(2);
    proxy.heal();
    await late.until(() => late.received === 'early\n');
    while ((await connections()) > 1) await late.ask('tick');
    expect(proxy.stats.open).toBe(1);
  });
});

describe('a slow network', () => {
  it('delays without reordering', async () => {
    const client = dial();
    await client.ask('warm');
    proxy.latency(20, 20);
    const started = performance.now();
    const lines = Array.from({ length: 10 }, (_unused, index) => `${index}`);
    for (const line of lines) client.send(line);
    await client.until(() => client.received.length === 'warm\n'.length + 20);
    expect(client.received.slice(5)).toBe(`${lines.join('\n')}\n`);
    expect(performance.now() - started).toBeGreaterThan(5);
  });

  it('goes back to the slowness before when the latest is healed', async () => {
    const client = dial();
    await client.ask('warm');
    proxy.latency(15);
    proxy.latency(60_000).heal();
    const started = performance.now();
    expect(await client.ask('slow')).toBe('slow\n');
    expect(performance.now() - started).toBeGreaterThan(28);
  });

  it('limits the rate', async () => {
    const client = dial();
    await client.ask('warm');
    proxy.throttle(20_000);
    const started = performance.now();
    await client.ask('x'.repeat(2_000));
    // There and back overlap: the echo of a line begins when the line has arrived.
    expect(performance.now() - started).toBeGreaterThan(150);
    proxy.heal();
    expect(await client.ask('fast')).toBe('fast\n');
  });
});

it('keeps a journal of what was broken when', async () => {
  proxy.latency(1);
  proxy.blackhole('in').heal();
  proxy.sever();
  proxy.heal();
  proxy.heal();
  const entries = proxy.journal.map(({ fault, phase, detail }) => [fault, phase, detail]);
  expect(entries).toEqual([
    ['latency', 'start', '1 ± 0 ms'],
    ['blackhole', 'start', 'in'],
    ['blackhole', 'heal', 'in'],
    ['sever', 'instant', '0 links'],
    ['latency', 'heal', '1 ± 0 ms'],
  ]);
  const times = proxy.journal.map(({ at }) => at);
  expect(times).toEqual([...times].sort((a, b) => (a < b ? -1 : 1)));
});
