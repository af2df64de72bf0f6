import { execFile } from 'node:child_process';
import { generateKeyPairSync } from 'node:crypto';
import { accessSync, chownSync, constants, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';
import { resolveAccount } from '../../src/faults/server-account.ts';

/** A certificate and its key: PEM, in files for servers and as text for clients. */
export interface Identity {
  readonly certFile: string;
  readonly keyFile: string;
  readonly cert: string;
  readonly key: string;
}

/** Certificates of a test. */
export interface Certificates {
  /** The authority that made those of the server and the client. */
  readonly authority: Identity;
  /** For the names `localhost` and `strict.localhost`: who connects to 127.0.0.1 finds it to be another host's. */
  readonly server: Identity;
  readonly client: Identity;
  /** An authority that nobody knows, and a client that it made. */
  readonly stranger: Identity;
  remove(): void;
}

/** Debian's RabbitMQ and PostgreSQL bring it along; for Redis alone it may be missing. */
const program = 'openssl';

/** Why tests that need certificates do not run, where they cannot. */
export const noCertificates: string | undefined = isOnPath() ? undefined : `no ${program} on the PATH`;

// Nothing depends on what the machine's own configuration says.
const configuration = `
[req]
distinguished_name = name
[name]
[authority]
basicConstraints = critical, CA:TRUE
keyUsage = critical, keyCertSign, cRLSign, digitalSignature
[server]
subjectAltName = DNS:localhost, DNS:strict.localhost
[client]
extendedKeyUsage = clientAuth
`;

/** Makes certificates that are good for a day, in a folder that servers of the suite may read. */
export async function makeCertificates(): Promise<Certificates> {
  const folder = mkdtempSync(path.join(tmpdir(), 'millrace-tls-'));
  const settings = path.join(folder, 'openssl.cnf');
  writeFileSync(settings, configuration);
  const openssl = async (...args: readonly string[]): Promise<void> => {
    await promisify(execFile)(program, args, { cwd: folder });
  };
  const newKey = (name: string): void => {
    const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
    const pem = privateKey.export({ type: 'pkcs8', format: 'pem' });
    writeFileSync(path.join(folder, `${name}.key`), pem, { mode: 0o600 });
  };
  const request = (name: string): string[] => ['req', '-new', '-config', settings, '-key', `${name}.key`];
  const signItself = async (name: string): Promise<void> => {
    newKey(name);
    const about = ['-x509', '-days', '1', '-subj', `/CN=Millrace test ${name}`, '-extensions', 'authority'];
    await openssl(...request(name), ...about, '-out', `${name}.pem`);
  };
  const sign = async (name: string, serial: number): Promise<void> => {
    newKey(name);
    await openssl(...request(name), '-subj', `/CN=Millrace test ${name}`, '-out', `${name}.csr`);
    const by = ['-CA', 'authority.pem', '-CAkey', 'authority.key', '-set_serial', String(serial)];
    const about = ['-days', '1', '-extfile', settings, '-extensions', name];
    await openssl('x509', '-req', '-in', `${name}.csr`, ...by, ...about, '-out', `${name}.pem`);
  };
  await Promise.all([signItself('authority'), signItself('stranger')]);
  await Promise.all([sign('server', 2), sign('client', 3)]);
  const account = resolveAccount(undefined);
  const identity = (name: string): Identity => {
    const [certFile, keyFile] = [path.join(folder, `${name}.pem`), path.join(folder, `${name}.key`)];
    if (account !== undefined) for (const file of [certFile, keyFile]) chownSync(file, account.uid, account.gid);
    return { certFile, keyFile, cert: readFileSync(certFile, 'utf8'), key: readFileSync(keyFile, 'utf8') };
  };
  if (account !== undefined) chownSync(folder, account.uid, account.gid);
  return {
    authority: identity('authority'),
    server: identity('server'),
    client: identity('client'),
    stranger: identity('stranger'),
    remove: () => rmSync(folder, { recursive: true, force: true }),
  };
}

function isOnPath(): boolean {
  const folders = (process.env.PATH ?? '').split(path.delimiter).filter(Boolean);
  return folders.some((folder) => {
    try {
      accessSync(path.join(folder, program), constants.X_OK);
      return true;
    } catch {
      return false;
    }
  });
}
