// A private PgBouncer in transaction mode, in front of the run's PostgreSQL: where session state silently breaks.
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { freePort, serverAccount, startServer } from './process.mjs';
import { canInstallPackages, findPrograms, installPackage } from './provision.mjs';

const ADDRESS = 'MILLRACE_TEST_PGBOUNCER_URL';
const SESSIONS = 'MILLRACE_TEST_PGBOUNCER_SESSIONS_URL';
const SMALL = 'MILLRACE_TEST_PGBOUNCER_SMALL_URL';
const MISSING = 'MILLRACE_TEST_PGBOUNCER_MISSING';
const FOLDERS = ['/usr/sbin', '/usr/local/sbin', '/opt/homebrew/bin', '/usr/local/bin'];

/**
 * Optional: without it, tests skip themselves with the reason this gives in MILLRACE_TEST_PGBOUNCER_MISSING.
 *
 * @returns the environment variables that tell tests where the pooler is, where it keeps sessions, where it has three processes
 *   for one test; or why there is none
 */
export async function startPgbouncer(keeper, { MILLRACE_TEST_POSTGRES_URL: postgresUrl }) {
  const given = process.env[ADDRESS];
  if (given) return { [ADDRESS]: given };
  const find = () => findPrograms(['pgbouncer'], FOLDERS);
  if (find() === undefined && canInstallPackages()) await installPackage('pgbouncer').catch(() => {});
  const programs = find();
  if (programs === undefined) return { [MISSING]: 'no pgbouncer on this machine' };
  try {
    return await startProgram(keeper, path.join(programs, 'pgbouncer'), new URL(postgresUrl));
  } catch (error) {
    console.error(error.message);
    return { [MISSING]: 'pgbouncer did not start' };
  }
}

async function startProgram(keeper, command, server) {
  const account = serverAccount();
  const folder = keeper.temporaryFolder('pgbouncer', account);
  const port = await freePort();
  const user = decodeURIComponent(server.username);
  const password = decodeURIComponent(server.password);
  // Passwords in clear: PgBouncer needs them so to answer both sides of SCRAM itself.
  writeFileSync(path.join(folder, 'users.txt'), `"${user}" "${password}"\n`, { mode: 0o644 });
  const settings = {
    listen_addr: '127.0.0.1',
    listen_port: port,
    unix_socket_dir: '',
    auth_type: 'scram-sha-256',
    auth_file: path.join(folder, 'users.txt'),
    pool_mode: 'transaction',
    max_client_conn: 500,
    default_pool_size: 20,
    ignore_startup_parameters: 'extra_float_digits',
    // Each idle process is tested before it is used. Whoever left a listener in one makes it answer the wrong clients then.
    server_check_delay: 0,
  };
  const lines = Object.entries(settings).map(([name, value]) => `${name} = ${value}`);
  const there = `host=${server.hostname} port=${server.port || 5432}`;
  const same = `${there} dbname=${server.pathname.slice(1)}`;
  const databases = [
    '[databases]',
    `sessions = ${same} pool_mode=session`,
    `small = ${same} pool_size=3`,
    `* = ${there}`,
  ].join('\n');
  const file = path.join(folder, 'pgbouncer.ini');
  writeFileSync(file, `${databases}\n\n[pgbouncer]\n${lines.join('\n')}\n`, { mode: 0o644 });
  // SIGTERM became "wait for clients" in 1.23; SIGQUIT is immediate in every version that has it, SIGTERM in older ones.
  await startServer(keeper, {
    command,
    args: [file],
    folder,
    account,
    ready: /process up/,
    signal: 'SIGQUIT',
  });
  const url = new URL(server);
  url.hostname = '127.0.0.1';
  url.port = String(port);
  return { [ADDRESS]: url.href, [SESSIONS]: new URL('/sessions', url).href, [SMALL]: new URL('/small', url).href };
}
