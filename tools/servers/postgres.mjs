// A private PostgreSQL for one test run: random port, password required, gone afterwards.
import { randomBytes } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { freePort, run, serverAccount, startServer } from './process.mjs';
import { canInstallPackages, findPrograms, hasDocker, installPackage } from './provision.mjs';

const ADDRESS = 'MILLRACE_TEST_POSTGRES_URL';
const USER = 'millrace';
const IMAGE = 'postgres:17-alpine';
const START_ATTEMPTS = 3;
const FOLDERS = [
  '/usr/lib/postgresql/*/bin',
  '/usr/pgsql-*/bin',
  '/opt/homebrew/opt/postgresql@*/bin',
  '/usr/local/opt/postgresql@*/bin',
  '/Applications/Postgres.app/Contents/Versions/latest/bin',
];
// As a real server is set: durable, and with room for every test file's own pool.
// What it shares between its processes lies in its folder: shared memory would outlive a server that is killed.
const SETTINGS = ['listen_addresses=127.0.0.1', 'max_connections=200', 'fsync=on', 'dynamic_shared_memory_type=mmap'];

/** @returns the environment variables that tell tests where the server is */
export async function startPostgres(keeper) {
  const given = process.env[ADDRESS];
  if (given) return { [ADDRESS]: given };
  const find = () => findPrograms(['initdb', 'postgres'], FOLDERS);
  const failures = [];
  if (find() === undefined && canInstallPackages()) {
    await installPackage('postgresql').catch((error) => failures.push(error.message));
  }
  const programs = find();
  if (programs !== undefined) return { [ADDRESS]: await retried(() => startPrograms(keeper, programs)) };
  if (await hasDocker()) {
    const url = await retried(() => startContainer(keeper)).catch((error) => failures.push(error.message));
    if (typeof url === 'string') return { [ADDRESS]: url };
  }
  throw new Error([...failures, howToGetOne()].join('\n\n'));
}

async function startPrograms(keeper, programs) {
  const account = serverAccount();
  const folder = keeper.temporaryFolder('postgres', account);
  const data = path.join(folder, 'data');
  const password = newPassword();
  const passwordFile = path.join(folder, 'password');
  writeFileSync(passwordFile, password, { mode: 0o644 });
  // SCRAM would cost each of some thousand connections milliseconds of processor on purpose.
  const auth = ['-U', USER, `--pwfile=${passwordFile}`, '--auth=md5'];
  await run(path.join(programs, 'initdb'), ['-D', data, ...auth, '-E', 'UTF8', '--locale=C', '--no-sync'], {
    cwd: folder,
    ...account,
  });
  const port = await freePort();
  await startServer(keeper, {
    command: path.join(programs, 'postgres'),
    args: ['-D', data, '-p', String(port), '-k', folder, ...SETTINGS.flatMap((setting) => ['-c', setting])],
    folder,
    account,
    ready: /ready to accept connections/,
    // Immediate shutdown: the data folder goes anyway, and open connections must not delay it.
    signal: 'SIGQUIT',
  });
  return address(password, port);
}

async function startContainer(keeper) {
  const password = newPassword();
  const port = await freePort();
  const folder = keeper.temporaryFolder('postgres');
  const name = path.basename(folder);
  keeper.atEnd(['docker', 'rm', '--force', '--volumes', name]);
  const settings = SETTINGS.map((setting) => (setting.startsWith('listen') ? 'listen_addresses=*' : setting));
  await startServer(keeper, {
    command: 'docker',
    args: [
      ...['run', '--rm', '--name', name, '--publish', `127.0.0.1:${port}:5432`],
      ...['--env', `POSTGRES_USER=${USER}`, '--env', `POSTGRES_PASSWORD=${password}`, '--env', 'POSTGRES_DB=postgres'],
      ...[IMAGE, ...settings.flatMap((setting) => ['-c', setting])],
    ],
    folder,
    // The image first runs a server without a network to set itself up, and logs the same words for it.
    ready: /listening on IPv4 address "0\.0\.0\.0"[\s\S]*ready to accept connections/,
    // The first run downloads the image.
    timeoutMs: 300_000,
  });
  return address(password, port);
}

/** A free port may be taken by another process before the server binds it. */
async function retried(start) {
  for (let attempt = 1; ; attempt++) {
    try {
      return await start();
    } catch (error) {
      if (attempt === START_ATTEMPTS || !/address already in use|port is already/i.test(error.message)) throw error;
    }
  }
}

const newPassword = () => randomBytes(12).toString('hex');
const address = (password, port) => `postgres://${USER}:${password}@127.0.0.1:${port}/postgres`;

function howToGetOne() {
  return [
    'The tests need a PostgreSQL server (12 or newer) and found no way to one. Any of these will do:',
    `  - an address:     ${ADDRESS}=postgres://user:password@host:5432/database npm test`,
    '  - its programs:   install PostgreSQL so that `initdb` and `postgres` are on the PATH',
    '  - Debian, Ubuntu: run as root, and the tests install the package themselves',
    '  - Docker:         start the daemon, and the tests run a throw-away container',
    '  - do without:     npm test -- --only unit,memory,pglite',
  ].join('\n');
}
