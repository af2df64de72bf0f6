import { randomBytes } from 'node:crypto';
import { startProxy } from '@millrace/conformance';
import {
  type Certificates,
  findSteadyPort,
  makeCertificates,
  noCertificates,
  refusalOf,
  runConnectProgram,
  runEachTaskOnce,
  runThroughBrokenLinks,
} from '@millrace/conformance/tls';
import { Redis, type RedisOptions } from 'ioredis';
import { afterAll, describe, expect, it, onTestFinished } from 'vitest';
import { type ConnectionOptions, type RedisBroker, redisBroker, type StoreOptions } from '../src/index.ts';
import { claimOf, newTask } from './builders.ts';
import { findProgram, startServer } from './private-server.ts';
import { openSession, until, watchUnhandled } from './support.ts';

const missing = findProgram() === undefined ? 'no redis-server on the PATH' : noCertificates;

watchUnhandled();

function settingsOf({ authority, server }: Certificates, port: number): string[] {
  return [
    ...['--tls-port', String(port), '--tls-auth-clients', 'no', '--tls-ca-cert-file', authority.certFile],
    ...['--tls-cert-file', server.certFile, '--tls-key-file', server.keyFile],
  ];
}

describe('an encrypted connection', async () => {
  if (missing !== undefined) {
    it.skip(`to a server of its own [${missing}]`, () => {});
    return;
  }
  const certificates = await makeCertificates();
  afterAll(certificates.remove);
  const port = await findSteadyPort();
  const server = await startServer(settingsOf(certificates, port)).catch((error: Error) => {
    if (!/'tls-port.*Bad directive/s.test(error.message)) throw error;
  });
  if (server === undefined) {
    it.skip('to a server of its own [redis-server is built without TLS]', () => {});
    return;
  }
  afterAll(() => server.close());
  const { authority, client, stranger } = certificates;
  const ca = authority.cert;
  const plainPort = server.place.port;
  const admin = new Redis(plainPort, '127.0.0.1', { protocol: 2 });
  admin.on('error', () => {});
  afterAll(() => admin.disconnect());

  const newPrefix = (): string => `t_${randomBytes(6).toString('hex')}`;
  const at = (tls: RedisOptions['tls'], { host = 'localhost', to = port } = {}): ConnectionOptions => ({
    connection: { host, port: to, ...(tls !== undefined && { tls }) },
  });
  const brokerBy = (way: ConnectionOptions, options: StoreOptions = {}): RedisBroker => {
    const broker = redisBroker({ prefix: newPrefix(), operationTimeout: '5s', ...options, ...way });
    onTestFinished(() => broker.close());
    return broker;
  };
  /** The ports that the connections of a prefix came in by, and which of them listen. */
  const connectionsOf = async (prefix: string): Promise<{ ports: Set<string>; listening: string[] }> => {
    const lines = String(await admin.client('LIST')).split('\n');
    const ours = lines.filter((line) => line.includes(` name=millrace:${prefix} `));
    return {
      ports: new Set(ours.map((line) => / laddr=\S+:(\d+) /.exec(line)?.[1] ?? 'none')),
      listening: ours.filter((line) => / sub=[1-9]/.test(line)).map((line) => line.split(' ', 1)[0] ?? ''),
    };
  };

  it('carries tasks of all sizes, each once', async () => {
    const prefix = newPrefix();
    await runEachTaskOnce(brokerBy(at({ ca }), { prefix }), brokerBy(at({ ca }), { prefix }));
  });

  it('is made again when its link breaks while tasks run', async () => {
    await using proxy = await startProxy({ host: '127.0.0.1', port });
    const prefix = newPrefix();
    const through = (): RedisBroker => brokerBy(at({ ca }, { to: proxy.port }), { prefix });
    await runThroughBrokenLinks(proxy, through(), through());
  });

  it('is what idle workers are woken by as well, again after a break', async () => {
    await using proxy = await startProxy({ host: '127.0.0.1', port });
    const prefix = newPrefix();
    // Nobody finds a task by looking for it.
    const idle = brokerBy(at({ ca }, { to: proxy.port }), { prefix, pollInterval: '1m' });
    const producer = brokerBy(at({ ca }), { prefix });
    await Promise.all([idle.open(), producer.open()]);
    const session = await openSession(idle);
    const isWoken = async (id: string): Promise<void> => {
      const claimed = session.claim(claimOf(1, { waitMs: 20_000 }));
      await until(async () => (await connectionsOf(prefix)).listening.length === 1, 'listening');
      expect((await connectionsOf(prefix)).ports).toEqual(new Set([String(port)]));
      await producer.enqueue([newTask({ id })]);
      expect((await claimed).map(({ lease }) => lease.taskId)).toEqual([id]);
    };
    await isWoken('before');
    const [before] = (await connectionsOf(prefix)).listening;
    proxy.sever();
    // The next one may be there before the end of this one is seen.
    const isGone = async (): Promise<boolean> => !(await connectionsOf(prefix)).listening.includes(before ?? '');
    await until(isGone, 'the end of the links');
    await isWoken('after');
    await idle.close();
  });

  const runsOneTask = async (broker: RedisBroker): Promise<void> => {
    await broker.open();
    await broker.enqueue([newTask({ id: 'one' })]);
    const [delivery] = await (await openSession(broker)).claim(claimOf());
    expect(delivery?.lease.taskId).toBe('one');
  };
  const configuration = { code: 'CONFIGURATION', reason: 'connection-settings', adapter: 'redis' };

  it('is made like one of a client of yours, or by a function', async () => {
    const make = (): Redis => new Redis({ host: 'localhost', port, tls: { ca }, lazyConnect: true });
    const given = make();
    onTestFinished(() => given.disconnect());
    await runsOneTask(brokerBy({ client: given }));
    await runsOneTask(brokerBy({ connect: make }));
  });

  it('shows a certificate of the client to a server that demands one, and is refused without', async () => {
    const demand = (clients: 'yes' | 'no'): Promise<unknown> => admin.config('SET', 'tls-auth-clients', clients);
    onTestFinished(async () => void (await demand('no')));
    await demand('yes');
    await runsOneTask(brokerBy(at({ ca, cert: client.cert, key: client.key })));
    for (const tls of [{ ca }, { ca, cert: stranger.cert, key: stranger.key }]) {
      const error = await refusalOf(brokerBy(at(tls)), 4_000);
      expect(error).toMatchObject(configuration);
      expect(error.message).toMatch(/as tls\.cert and tls\.key of `connection`/);
    }
  });

  it.each([
    ['an authority nobody knows', { url: `rediss://localhost:${port}` }, /give the certificate .* as tls\.ca/],
    ['an authority other than the one that is trusted', at({ ca: stranger.cert }), /as tls\.ca/],
    ['the name of another host', at({ ca }, { host: '127.0.0.1' }), /connect by a name that stands in it/],
    ['the name of a file as certificate', at({ ca, cert: 'a.pem', key: 'a.key' }), /see tls\.cert and tls\.key/],
  ])('is refused at once, with what to do: %s', async (_name, way, advice) => {
    const error = await refusalOf(brokerBy(way), 4_000);
    expect(error).toMatchObject(configuration);
    expect(error.message).toMatch(advice);
  });

  it.each([
    ['that should have been plain', at({ ca }, { to: plainPort }), /use the tls-port of the server, or redis:/],
    ['that is plain and should not be', at(undefined), /use rediss: or tls of `connection`/],
  ])('%s ends by the deadline, with what to do', async (_name, way, advice) => {
    const error = await refusalOf(brokerBy(way, { operationTimeout: '500ms' }), 4_000);
    expect(error).toMatchObject({ code: 'UNAVAILABLE', adapter: 'redis' });
    expect(error.message).toMatch(advice);
  });

  it('needs nothing but a URL where the process knows the authority', async () => {
    const request = { url: `rediss://localhost:${port}?prefix=${newPrefix()}`, cwd: new URL('..', import.meta.url) };
    const [knowing, other] = await Promise.all([
      runConnectProgram({ ...request, extraCertificates: authority.certFile }),
      runConnectProgram(request),
    ]);
    expect(knowing).toBe('ran');
    expect(other).toMatch(/^CONFIGURATION .* NODE_EXTRA_CA_CERTS/);
  });
});
