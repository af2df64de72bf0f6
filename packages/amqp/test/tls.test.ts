import { startProxy } from '@millrace/conformance';
import {
  type Certificates,
  findSteadyPort,
  type Identity,
  makeCertificates,
  noCertificates,
  refusalOf,
  runConnectProgram,
  runEachTaskOnce,
  runThroughBrokenLinks,
} from '@millrace/conformance/tls';
import { afterAll, describe, expect, it } from 'vitest';
import type { AmqpBroker, TlsOptions } from '../src/index.ts';
import { noServer, programs, startPrivateServer } from './private-server.ts';
import { brokerOf, claimOne, freshNamespace, newTask, openSession } from './support.ts';

const missing = programs === undefined ? noServer : noCertificates;
/** By this name the server demands a certificate of the client. */
const demanding = 'strict.localhost';

function advancedOf({ authority, server }: Certificates, port: number): string {
  const files = ({ certFile, keyFile }: Identity): string =>
    `{cacertfile, "${authority.certFile}"}, {certfile, "${certFile}"}, {keyfile, "${keyFile}"}`;
  const strict = `{"${demanding}", [${files(server)}, {verify, verify_peer}, {fail_if_no_peer_cert, true}]}`;
  const options = `[${files(server)}, {verify, verify_none}, {sni_hosts, [${strict}]}]`;
  return `[{rabbit, [{ssl_listeners, [{"127.0.0.1", ${port}}]}, {ssl_options, ${options}}]}].`;
}

describe('an encrypted connection', async () => {
  if (missing !== undefined) {
    it.skip(`to a server of its own [${missing}]`, () => {});
    return;
  }
  const certificates = await makeCertificates();
  afterAll(certificates.remove);
  const port = await findSteadyPort();
  const { server, close } = await startPrivateServer('', { advanced: advancedOf(certificates, port) });
  afterAll(close);
  const { authority, client, stranger } = certificates;
  const url = `amqps://localhost:${port}`;
  const ca = authority.cert;

  const secure = (tls: TlsOptions, namespace = freshNamespace(), at = url): AmqpBroker =>
    brokerOf(at, { namespace, tls });

  it('carries tasks of all sizes, each once', async () => {
    const namespace = freshNamespace();
    await runEachTaskOnce(secure({ ca }, namespace), secure({ ca }, namespace));
  });

  it('is made again when its link breaks while tasks run', async () => {
    await using proxy = await startProxy({ host: '127.0.0.1', port });
    const namespace = freshNamespace();
    const through = (): AmqpBroker => secure({ ca }, namespace, `amqps://localhost:${proxy.port}`);
    await runThroughBrokenLinks(proxy, through(), through());
  });

  it('shows a certificate of the client to a server that demands one', async () => {
    const broker = secure({ ca, cert: client.cert, key: client.key, servername: demanding });
    await broker.open();
    const task = newTask();
    await broker.enqueue([task]);
    expect((await claimOne(await openSession(broker))).lease.taskId).toBe(task.id);
    await broker.close();
  });

  it.each([
    ['an authority nobody knows', url, {}, /give the certificate of its authority .* as tls\.ca/],
    ['an authority other than the one that is trusted', url, { ca: stranger.cert }, /as tls\.ca/],
    ['the name of another host', `amqps://127.0.0.1:${port}`, { ca }, /connect by a name that stands in it/],
    ['no certificate where one is demanded', url, { ca, servername: demanding }, /as tls\.cert and tls\.key/],
    [
      'a certificate the server does not know',
      url,
      { ca, cert: stranger.cert, key: stranger.key, servername: demanding },
      /as tls\.cert and tls\.key/,
    ],
    ['the name of a file as certificate', url, { ca, cert: 'a.pem', key: 'a.key' }, /see tls\.cert and tls\.key/],
    ['a port without TLS', `amqps://localhost:${server.place.port}`, { ca }, /use the TLS port .* or amqp:/],
  ])('is refused at once, with what to do: %s', async (_name, at, tls, advice) => {
    const error = await refusalOf(secure(tls, undefined, at), 4_000);
    expect(error).toMatchObject({ code: 'CONFIGURATION', reason: 'connection-settings', adapter: 'amqp' });
    expect(error.message).toMatch(advice);
  });

  it('is what a plain one to its port is told to be, by the deadline', async () => {
    const plain = brokerOf(url.replace('amqps:', 'amqp:'), { operationTimeout: '1s' });
    const error = await refusalOf(plain, 4_000);
    expect(error).toMatchObject({ code: 'UNAVAILABLE', reason: 'connection', adapter: 'amqp' });
    expect(error.message).toMatch(/the URL has to begin with amqps:/);
  });

  it('needs nothing but a URL where the process knows the authority', async () => {
    const request = { url: `${url}?namespace=${freshNamespace()}`, cwd: new URL('..', import.meta.url) };
    const [knowing, other] = await Promise.all([
      runConnectProgram({ ...request, extraCertificates: authority.certFile }),
      runConnectProgram(request),
    ]);
    expect(knowing).toBe('ran');
    expect(other).toMatch(/^CONFIGURATION .* NODE_EXTRA_CA_CERTS/);
  });
});
