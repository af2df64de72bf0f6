import { randomBytes } from 'node:crypto';
import { startProxy } from '@millrace/conformance';
import {
  makeCertificates,
  noCertificates,
  refusalOf,
  runConnectProgram,
  runEachTaskOnce,
  runThroughBrokenLinks,
} from '@millrace/conformance/tls';
import pg from 'pg';
import { afterAll, describe, expect, it, onTestFinished } from 'vitest';
import { type PostgresBroker, type PostgresBrokerOptions, postgresBroker } from '../src/index.ts';
import { claimOf, newTask } from './builders.ts';
import { withClient } from './harness.ts';
import { findPrograms, startServer } from './private-server.ts';
import { openSession, until, watchUnhandled } from './support.ts';

const missing = findPrograms() === undefined ? 'no PostgreSQL programs to start a server of its own' : noCertificates;

/** Of `strict` a certificate is demanded, of `encrypted` a connection with TLS, of others nothing. */
const hba = `
hostssl   all strict    all trust clientcert=verify-ca
hostnossl all strict    all reject
hostnossl all encrypted all reject
host      all all       all trust
`;

watchUnhandled();

describe('an encrypted connection', async () => {
  if (missing !== undefined) {
    it.skip(`to a server of its own [${missing}]`, () => {});
    return;
  }
  const certificates = await makeCertificates();
  afterAll(certificates.remove);
  const { authority, client: own, stranger } = certificates;
  const files = { ssl_ca_file: authority.certFile, ssl_cert_file: certificates.server.certFile };
  const settings = Object.entries({ ssl: 'on', ...files, ssl_key_file: certificates.server.keyFile });
  const server = await startServer(
    settings.map(([name, value]) => `${name}=${value}`),
    hba,
  );
  if (server === undefined) throw new Error('the programs are there, and the server is not');
  afterAll(() => server.close());
  const { port } = server.place;
  const adminUrl = `postgres://millrace@127.0.0.1:${port}/postgres`;
  await withClient(adminUrl, (admin) =>
    admin.query('create role strict superuser login; create role encrypted superuser login'),
  );

  const trusting = { sslmode: 'verify-full', sslrootcert: authority.certFile };
  const urlOf = (
    parameters: Readonly<Record<string, string>>,
    { user = 'millrace', host = 'localhost', to = port } = {},
  ): string => `postgres://${user}@${host}:${to}/postgres?${new URLSearchParams(parameters)}`;
  const newName = (): string => `t_${randomBytes(6).toString('hex')}`;
  const newPool = (config: pg.PoolConfig): pg.Pool => {
    const pool = new pg.Pool({ host: 'localhost', port, user: 'millrace', database: 'postgres', ...config });
    onTestFinished(() => pool.end());
    return pool;
  };
  const brokerBy = (way: Partial<PostgresBrokerOptions>): PostgresBroker => {
    const options = { schema: newName(), operationTimeout: '5s', ...way } as PostgresBrokerOptions;
    const broker = postgresBroker(options);
    onTestFinished(() => broker.close());
    return broker;
  };
  /** Whether the connections of an application are encrypted, and which of them listen. */
  const connectionsOf = (application: string): Promise<{ encrypted: Set<boolean>; listening: number[] }> =>
    withClient(adminUrl, async (admin) => {
      const { rows } = await admin.query(
        'select pid, ssl, query from pg_stat_activity join pg_stat_ssl using (pid) where application_name = $1',
        [application],
      );
      return {
        encrypted: new Set(rows.map(({ ssl }) => ssl)),
        listening: rows.filter(({ query }) => /^listen /.test(query)).map(({ pid }) => pid),
      };
    });
  const runsOneTask = async (broker: PostgresBroker): Promise<void> => {
    await broker.open();
    await broker.enqueue([newTask({ id: 'one' })]);
    const [delivery] = await (await openSession(broker)).claim(claimOf());
    expect(delivery?.lease.taskId).toBe('one');
  };

  it('carries tasks of all sizes, each once, by a URL and by a pool of the caller', async () => {
    const schema = newName();
    const pool = newPool({ ssl: { ca: authority.cert } });
    await runEachTaskOnce(brokerBy({ url: urlOf(trusting), schema }), brokerBy({ pool, schema }));
  });

  it('is made again when its link breaks while tasks run', async () => {
    await using proxy = await startProxy({ host: '127.0.0.1', port });
    const schema = newName();
    const through = (): PostgresBroker => brokerBy({ url: urlOf(trusting, { to: proxy.port }), schema });
    await runThroughBrokenLinks(proxy, through(), through());
  });

  it.each(['a URL', 'a pool'])('is what idle workers are woken by as well, again after a break: by %s', async (way) => {
    await using proxy = await startProxy({ host: '127.0.0.1', port });
    const [schema, application] = [newName(), newName()];
    const ssl = { ca: authority.cert };
    const idle = brokerBy({
      schema,
      // Nobody finds a task by looking for it.
      pollInterval: '1m',
      ...(way === 'a URL'
        ? { url: urlOf({ ...trusting, application_name: application }, { to: proxy.port }) }
        : { pool: newPool({ port: proxy.port, ssl, application_name: application }) }),
    });
    const client = { host: 'localhost', port, user: 'millrace', database: 'postgres', ssl };
    const producer = brokerBy({ client, schema });
    await idle.open();
    await producer.open();
    const session = await openSession(idle);
    const isWoken = async (id: string): Promise<void> => {
      const claimed = session.claim(claimOf({ waitMs: 20_000 }));
      await until(async () => (await connectionsOf(application)).listening.length === 1, 'listening');
      expect((await connectionsOf(application)).encrypted).toEqual(new Set([true]));
      await producer.enqueue([newTask({ id })]);
      expect((await claimed).map(({ lease }) => lease.taskId)).toEqual([id]);
    };
    await isWoken('before');
    const [before] = (await connectionsOf(application)).listening;
    proxy.sever();
    // The next one may be there before the end of this one is seen.
    const isGone = async (): Promise<boolean> => !(await connectionsOf(application)).listening.includes(before ?? 0);
    await until(isGone, 'the end of the links');
    await isWoken('after');
    await idle.close();
  });

  it('shows a certificate of the client to a server that demands one', async () => {
    const shown = { ...trusting, sslcert: own.certFile, sslkey: own.keyFile };
    await runsOneTask(brokerBy({ url: urlOf(shown, { user: 'strict' }) }));
    const application = newName();
    const ssl = { ca: authority.cert, cert: own.cert, key: own.key };
    const pool = newPool({ user: 'strict', application_name: application, ssl });
    await runsOneTask(brokerBy({ pool }));
    // The driver hides the key of a pool, and the connection that listens is made beside it.
    await until(async () => (await connectionsOf(application)).listening.length === 1, 'listening');
  });

  const other = { sslmode: 'verify-full', sslrootcert: stranger.certFile };
  const strange = { ...trusting, sslcert: stranger.certFile, sslkey: stranger.keyFile };
  it.each([
    ['an authority nobody knows', urlOf({ sslmode: 'verify-full' }), /give the certificate .* as sslrootcert/],
    ['an authority other than the one that is trusted', urlOf(other), /as sslrootcert in the URL or ssl\.ca/],
    ['the name of another host', urlOf(trusting, { host: '127.0.0.1' }), /connect by a name that stands in it/],
    ['a certificate the server does not know', urlOf(strange, { user: 'strict' }), /as sslcert and sslkey/],
    ['a file that is not there', urlOf({ ...trusting, sslrootcert: '/nowhere.pem' }), /open '\/nowhere\.pem'/],
  ])('is refused at once, with what to do: %s', async (_name, url, advice) => {
    const error = await refusalOf(brokerBy({ url }), 4_000);
    expect(error).toMatchObject({ code: 'CONFIGURATION', reason: 'connection-settings', adapter: 'postgres' });
    expect(error.message).toMatch(advice);
  });

  it.each([
    ['no certificate where one is demanded', urlOf(trusting, { user: 'strict' }), /a certificate of the client/],
    ['none at all where one is demanded', urlOf({}, { user: 'encrypted' }), /may ask for TLS \(sslmode=verify-full\)/],
  ])('is refused by the server, with what to do: %s', async (_name, url, advice) => {
    const error = await refusalOf(brokerBy({ url }), 4_000);
    expect(error).toMatchObject({ code: 'CONFIGURATION', reason: 'authentication', adapter: 'postgres' });
    expect(error.message).toMatch(advice);
  });

  it('of a pool that trusts another authority is refused, and the pool is left open', async () => {
    const pool = newPool({ ssl: { ca: stranger.cert } });
    const error = await refusalOf(brokerBy({ pool }), 4_000);
    expect(error).toMatchObject({ code: 'CONFIGURATION', reason: 'connection-settings', adapter: 'postgres' });
    expect(error.message).toMatch(/ssl\.ca of `client` or your pool/);
    expect(pool.ended).toBe(false);
  });

  it('needs nothing but a URL where the process knows the authority', async () => {
    const request = { url: urlOf({ sslmode: 'verify-full', schema: newName() }), cwd: new URL('..', import.meta.url) };
    const [knowing, unknowing] = await Promise.all([
      runConnectProgram({ ...request, extraCertificates: authority.certFile }),
      runConnectProgram(request),
    ]);
    expect(knowing).toBe('ran');
    expect(unknowing).toMatch(/^CONFIGURATION .* NODE_EXTRA_CA_CERTS/);
  });
});
