import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { LineBench, type LineClient } from './line-bench.ts';

let bench: LineBench;
let proxy: LineBench['proxy'];
let arrived: LineBench['arrived'];
const dial = (): LineClient => bench.dial();

beforeEach(async () => {
  bench = await LineBench.start();
  ({ proxy, arrived } = bench);
});

afterEach(() => bench.stop());

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
