import { connect, createServer, type Server, type Socket } from 'node:net';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { startProxy, type TcpProxy } from './tcp-proxy.ts';

/** Answers each line with the line. */
let server: Server;
/** Lines that reached the server. */
let arrived: string[];
let proxy: TcpProxy;
const clients: TestClient[] = [];

class TestClient {
  readonly socket: Socket;
  received = '';
  closed: string | undefined;
  #waiting: (() => void)[] = [];

  constructor(port: number) {
    this.socket = connect({ port, host: '127.0.0.1' });
    this.socket.on('data', (chunk) => {
      this.received += chunk;
      this.#changed();
    });
    this.socket.on('error', (error: NodeJS.ErrnoException) => {
      this.closed = error.code ?? 'error';
    });
    this.socket.on('close', () => {
      this.closed ??= 'ended';
      this.#changed();
    });
    clients.push(this);
  }

  send(line: string): void {
    this.socket.write(`${line}\n`);
  }

  async until(condition: () => boolean): Promise<void> {
    while (!condition()) await new Promise<void>((resolve) => this.#waiting.push(resolve));
  }

  async ask(line: string): Promise<string> {
    const before = this.received.length;
    this.send(line);
    await this.until(() => this.received.length > before + line.length || this.closed !== undefined);
    return this.received.slice(before);
  }

  async end(): Promise<string> {
    await this.until(() => this.closed !== undefined);
    return this.closed as string;
  }

  #changed(): void {
    for (const resume of this.#waiting.splice(0)) resume();
  }
}

const dial = (): TestClient => new TestClient(proxy.port);

beforeEach(async () => {
  arrived = [];
  server = createServer({ allowHalfOpen: true }, (socket) => {
    let rest = '';
    socket.on('error', () => {});
    socket.on('end', () => socket.end());
    socket.on('data', (chunk) => {
      const lines = (rest + chunk).split('\n');
      rest = lines.pop() ?? '';
      for (const line of lines) {
        arrived.push(line);
        socket.write(`${line}\n`);
      }
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  if (typeof address !== 'object' || address === null) throw new Error('no address');
  proxy = await startProxy({ host: '127.0.0.1', port: address.port });
});

afterEach(async () => {
  await proxy.close();
  for (const { socket } of clients.splice(0)) socket.destroy();
  server.close();
});

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

describe('cutting a reply', () => {
  it('lets the request pass, discards its reply and resets the link', async () => {
    const client = dial();
    await client.ask('a');
    const cut = proxy.cutReply({ quietMs: 1 });
    client.send('applied');
    expect(await client.end()).toBe('ECONNRESET');
    expect((await cut.done).number).toBe(1);
    expect(client.received).toBe('a\n');
    expect(arrived).toEqual(['a', 'applied']);
    expect([cut.fired, cut.replies, proxy.stats.cut, proxy.broken]).toEqual([true, 1, 1, false]);
    expect(await dial().ask('b')).toBe('b\n');
  });

  it('counts replies, of chosen links and matching requests only', async () => {
    const [client, other] = [dial(), dial()];
    await client.ask('a');
    await other.ask('beat');
    const cut = proxy.cutReply({
      nth: 2,
      quietMs: 1,
      links: (link) => !link.hasSent('beat'),
      matching: (request) => request.includes('settle'),
    });
    expect(await other.ask('settle')).toBe('settle\n');
    expect(await client.ask('claim')).toBe('claim\n');
    expect(await client.ask('settle 1')).toBe('settle 1\n');
    expect(await client.ask('claim')).toBe('claim\n');
    expect(cut.fired).toBe(false);
    expect(await client.ask('settle 2')).toBe('');
    expect([cut.fired, cut.replies]).toEqual([true, 2]);
    expect(await other.ask('b')).toBe('b\n');
  });

  it('sees a request in several packets whole, and ignores what is neither request nor reply', async () => {
    const client = dial();
    await client.ask('a');
    const heartbeat = Buffer.from([8, 0, 0, 0, 0, 0, 0, 0xce]);
    const requests: string[] = [];
    const cut = proxy.cutReply({
      quietMs: 1,
      matching: (request) => {
        requests.push(String(request));
        return request.includes('insert');
      },
    });
    client.socket.write('in');
    // The second half in a packet of its own.
    while (proxy.stats.bytesOut < 4) await dial().ask('tick');
    client.socket.write('sert\n');
    expect(await client.end()).toBe('ECONNRESET');
    expect(requests.at(-1)).toBe('insert\n');
    expect(cut.fired).toBe(true);

    const other = dial();
    await other.ask('b');
    const second = proxy.cutReply();
    other.socket.write(heartbeat);
    const third = dial();
    second.disarm();
    expect(await third.ask('c')).toBe('c\n');
    expect([second.fired, second.replies]).toEqual([false, 0]);
  });

  it('ends also when the link is severed before the server was silent', async () => {
    const client = dial();
    await client.ask('a');
    const cut = proxy.cutReply({ quietMs: 60_000 });
    client.send('applied');
    const other = dial();
    while (!cut.fired) await other.ask('tick');
    cut.disarm();
    proxy.sever((link) => link.number === 1);
    expect((await cut.done).number).toBe(1);
    expect(proxy.stats.cut).toBe(1);
  });

  it('drops what the client sends while its reply is being discarded', async () => {
    const client = dial();
    await client.ask('a');
    const cut = proxy.cutReply({ quietMs: 30 });
    client.send('applied');
    const other = dial();
    while (!cut.fired) await other.ask('tick');
    client.send('never');
    await cut.done;
    expect(arrived.filter((line) => line !== 'tick')).toEqual(['a', 'applied']);
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
