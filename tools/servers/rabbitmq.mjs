// A private RabbitMQ for one test run: own node name, ports, cookie and epmd; no service is started, and all of it goes.
import { randomBytes } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { freePort, startServer } from './process.mjs';
import { canInstallPackages, findPrograms, hasDocker, installPackage } from './provision.mjs';
import { programsOfQuickHome } from './rabbitmq-home.mjs';

const ADDRESS = 'MILLRACE_TEST_AMQP_URL';
/** Where tests find the programs, to start servers of their own that they may kill. */
const PROGRAMS = 'MILLRACE_TEST_RABBITMQ_PROGRAMS';
/** What these are to hand to Erlang. */
const ARGUMENTS = 'MILLRACE_TEST_ERLANG_ARGUMENTS';
const USER = 'millrace';
const IMAGE = 'rabbitmq:4-alpine';
const START_ATTEMPTS = 3;
// Not Debian's /usr/sbin/rabbitmq-server: that one insists on the account `rabbitmq`.
const FOLDERS = ['/usr/lib/rabbitmq/bin', '/usr/lib/rabbitmq/lib/*/sbin', '/opt/homebrew/sbin', '/usr/local/sbin'];
/** Idle schedulers sleep instead of spinning, and distribution listens on this machine alone. */
const USUAL_ARGUMENTS = '+sbwt none +sbwtdcpu none +sbwtdio none -kernel inet_dist_use_interface {127,0,0,1}';

/**
 * @param {{ oneScheduler?: boolean }} options `oneScheduler`: a node computes on one processor, which costs a fifth less
 * where others need the rest.
 * @returns the environment variables that tell tests where the server is
 */
export async function startRabbitmq(keeper, { oneScheduler = false } = {}) {
  const given = process.env[ADDRESS];
  if (given) return { [ADDRESS]: given, ...forTests(keeper, findServer(), oneScheduler) };
  const failures = [];
  if (findServer() === undefined && canInstallPackages()) {
    await installPackage('rabbitmq-server').catch((error) => failures.push(error.message));
  }
  const programs = findServer();
  if (programs !== undefined) {
    const environment = forTests(keeper, programs, oneScheduler);
    const url = await retried(() => startPrograms(keeper, environment[PROGRAMS], environment[ARGUMENTS]));
    return { [ADDRESS]: url, ...environment };
  }
  if (await hasDocker()) {
    const url = await retried(() => startContainer(keeper)).catch((error) => failures.push(error.message));
    if (typeof url === 'string') return { [ADDRESS]: url };
  }
  throw new Error([...failures, howToGetOne()].join('\n\n'));
}

async function startPrograms(keeper, programs, erlangArguments) {
  const folder = keeper.temporaryFolder('rabbitmq');
  const [port, distribution, epmd] = [await freePort(), await freePort(), await freePort()];
  const password = randomBytes(12).toString('hex');
  const settings = {
    default_user: USER,
    default_pass: password,
    'loopback_users.guest': 'true',
    'vm_memory_high_watermark.absolute': '1GB',
    'disk_free_limit.absolute': '50MB',
    'log.console': 'true',
    'log.console.level': 'warning',
  };
  const lines = Object.entries(settings).map(([name, value]) => `${name} = ${value}`);
  writeFileSync(path.join(folder, 'rabbitmq.conf'), `${lines.join('\n')}\n`, { mode: 0o644 });
  writeFileSync(path.join(folder, 'plugins'), '[].\n', { mode: 0o644 });
  // The node's own epmd is a daemon that outlives it.
  keeper.atEnd(['epmd', '-port', String(epmd), '-kill']);
  await startServer(keeper, {
    command: path.join(programs, 'rabbitmq-server'),
    args: [],
    folder,
    ready: /completed with \d+ plugins/,
    // Nothing of it is kept, so it need not say goodbye.
    signal: 'SIGKILL',
    timeoutMs: 120_000,
    env: {
      LC_ALL: 'C.UTF-8',
      RABBITMQ_CONF_ENV_FILE: '/dev/null',
      RABBITMQ_NODENAME: `millrace${port}@localhost`,
      RABBITMQ_NODE_IP_ADDRESS: '127.0.0.1',
      RABBITMQ_NODE_PORT: String(port),
      RABBITMQ_DIST_PORT: String(distribution),
      RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS: erlangArguments,
      ERL_EPMD_PORT: String(epmd),
      ERL_EPMD_ADDRESS: '127.0.0.1',
      RABBITMQ_MNESIA_BASE: path.join(folder, 'data'),
      RABBITMQ_LOG_BASE: path.join(folder, 'log'),
      RABBITMQ_PID_FILE: path.join(folder, 'pid'),
      RABBITMQ_ENABLED_PLUGINS_FILE: path.join(folder, 'plugins'),
      RABBITMQ_CONFIG_FILE: path.join(folder, 'rabbitmq.conf'),
      RABBITMQ_ADVANCED_CONFIG_FILE: path.join(folder, 'none'),
    },
  });
  return `amqp://${USER}:${password}@127.0.0.1:${port}`;
}

async function startContainer(keeper) {
  const password = randomBytes(12).toString('hex');
  const port = await freePort();
  const folder = keeper.temporaryFolder('rabbitmq');
  const name = path.basename(folder);
  keeper.atEnd(['docker', 'rm', '--force', '--volumes', name]);
  await startServer(keeper, {
    command: 'docker',
    args: [
      ...['run', '--rm', '--name', name, '--publish', `127.0.0.1:${port}:5672`],
      ...['--env', `RABBITMQ_DEFAULT_USER=${USER}`, '--env', `RABBITMQ_DEFAULT_PASS=${password}`, IMAGE],
    ],
    folder,
    ready: /completed with \d+ plugins|Server startup complete/,
    // The first run downloads the image.
    timeoutMs: 300_000,
  });
  return `amqp://${USER}:${password}@127.0.0.1:${port}`;
}

/** A free port may be taken by another process before the server binds it. */
async function retried(start) {
  for (let attempt = 1; ; attempt++) {
    try {
      return await start();
    } catch (error) {
      if (attempt === START_ATTEMPTS || !/eaddrinuse|address already in use|port is already/i.test(error.message)) {
        throw error;
      }
    }
  }
}

/** The upstream script: beside it is `rabbitmq-defaults`, which Debian's wrapper in /usr/sbin has not. */
function findServer() {
  return findPrograms(['rabbitmq-server', 'rabbitmq-defaults'], FOLDERS);
}

/** What tests need to start servers of their own. */
function forTests(keeper, programs, oneScheduler) {
  if (programs === undefined) return {};
  const erlangArguments = oneScheduler ? `+S 1:1 ${USUAL_ARGUMENTS}` : USUAL_ARGUMENTS;
  return { [PROGRAMS]: programsOfQuickHome(keeper, programs), [ARGUMENTS]: erlangArguments };
}

function howToGetOne() {
  return [
    'The tests need RabbitMQ (3.10 or newer) and found no way to one. Any of these will do:',
    `  - an address:     ${ADDRESS}=amqp://user:password@host:5672 npm test`,
    '  - its programs:   install RabbitMQ so that its own `rabbitmq-server` is found',
    '  - Debian, Ubuntu: run as root, and the tests install the package themselves',
    '  - Docker:         start the daemon, and the tests run a throw-away container',
    '  - do without:     npm test -- --only unit,memory,pglite,postgres',
  ].join('\n');
}
