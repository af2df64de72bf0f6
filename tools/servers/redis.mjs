// Private Redis servers for one test run: random ports, a password, gone afterwards. One keeps nothing on disk, one
// writes every answered change to disk, and three plain processes form a cluster.
import { randomBytes } from 'node:crypto';
import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { freePort, run, serverAccount, startServer } from './process.mjs';
import { canInstallPackages, findPrograms, hasDocker, installPackage } from './provision.mjs';

const ADDRESS = 'MILLRACE_TEST_REDIS_URL';
const AOF_ADDRESS = 'MILLRACE_TEST_REDIS_AOF_URL';
const CLUSTER_ADDRESS = 'MILLRACE_TEST_REDIS_CLUSTER_URL';
/** For tests that kill a server of their own. */
const PROGRAM = 'MILLRACE_TEST_REDIS_PROGRAM';
const IMAGE = 'redis:7-alpine';
const START_ATTEMPTS = 5;
const FOLDERS = ['/opt/homebrew/opt/redis/bin', '/usr/local/opt/redis/bin', '/usr/lib/redis/bin'];
const ALWAYS_ON_DISK = ['--appendonly', 'yes', '--appendfsync', 'always'];

/** @returns the environment variables that tell tests where the servers are */
export async function startRedis(keeper) {
  const launch = await findLauncher(keeper);
  const environment = launch.program === undefined ? {} : { [PROGRAM]: launch.program };
  const password = randomBytes(12).toString('hex');
  for (const [name, settings] of [
    [ADDRESS, []],
    [AOF_ADDRESS, ALWAYS_ON_DISK],
  ]) {
    const given = process.env[name];
    environment[name] = given || address(password, [await retried(() => startNode(launch, password, settings))]);
  }
  const given = process.env[CLUSTER_ADDRESS];
  environment[CLUSTER_ADDRESS] = given || (await startCluster(launch, password));
  return environment;
}

/** How a server is started: from its program, or from an image. */
async function findLauncher(keeper) {
  if ([ADDRESS, AOF_ADDRESS, CLUSTER_ADDRESS].every((name) => process.env[name])) {
    const programs = findPrograms(['redis-server'], FOLDERS);
    return { program: programs && path.join(programs, 'redis-server') };
  }
  const find = () =>
    findPrograms(['redis-server', 'redis-cli'], FOLDERS) ?? findPrograms(['valkey-server', 'valkey-cli'], FOLDERS);
  const failures = [];
  if (find() === undefined && canInstallPackages()) {
    await installPackage('redis-server').catch((error) => failures.push(error.message));
  }
  const programs = find();
  if (programs !== undefined) {
    const family = findPrograms(['redis-server'], [programs]) === undefined ? 'valkey' : 'redis';
    const program = path.join(programs, `${family}-server`);
    const client = path.join(programs, `${family}-cli`);
    return { keeper, program, command: () => [program], client: [client] };
  }
  if (process.platform === 'linux' && (await hasDocker())) {
    // With the network of the host a container is as good as a process, also for a cluster.
    const docker = (name) => ['docker', 'run', '--rm', '--network', 'host', '--name', name, IMAGE, 'redis-server'];
    return {
      keeper,
      command: docker,
      container: true,
      client: ['docker', 'run', '--rm', '--network', 'host', IMAGE, 'redis-cli'],
    };
  }
  throw new Error([...failures, howToGetOne()].join('\n\n'));
}

/** Starts one server; returns its port. */
async function startNode({ keeper, command, container }, password, settings) {
  const account = container ? undefined : serverAccount();
  const folder = keeper.temporaryFolder('redis', account);
  const port = await freePort();
  const name = path.basename(folder);
  if (container) keeper.atEnd(['docker', 'rm', '--force', '--volumes', name]);
  const [program, ...args] = command(name);
  const place = container ? [] : ['--dir', folder];
  await startServer(keeper, {
    command: program,
    args: [
      ...args,
      ...['--port', String(port), '--bind', '127.0.0.1', '--save', '', '--requirepass', password, ...place],
      ...['--masterauth', password, '--maxclients', '2000', ...settings],
    ],
    folder,
    account,
    ready: /[Rr]eady to accept connections/,
    // What is kept goes anyway: no reason to be gentle.
    signal: 'SIGKILL',
    timeoutMs: container ? 300_000 : 60_000,
  });
  return port;
}

async function startCluster(launch, password) {
  const settings = ['--cluster-enabled', 'yes', '--cluster-node-timeout', '5000'];
  const ports = [];
  for (let node = 0; node < 3; node++) ports.push(await retried(() => startNode(launch, password, settings)));
  const nodes = ports.map((port) => `127.0.0.1:${port}`);
  const [program, ...args] = launch.client;
  const ask = (...words) => run(program, [...args, '-a', password, '--no-auth-warning', ...words]);
  await ask('--cluster', 'create', ...nodes, '--cluster-yes');
  for (const port of ports) {
    // A node says ok once it has heard from the others.
    for (const deadline = Date.now() + 30_000; ; await delay(50)) {
      const info = await ask('-p', String(port), 'cluster', 'info');
      if (info.includes('cluster_state:ok')) break;
      if (Date.now() > deadline) throw new Error(`the Redis cluster did not form:\n${info}`);
    }
  }
  // One node is enough: it names the others.
  return `${address(password, ports.slice(0, 1))}?cluster=true`;
}

/** A free port may be taken by another process before the server binds it. */
async function retried(start) {
  for (let attempt = 1; ; attempt++) {
    try {
      return await start();
    } catch (error) {
      if (attempt === START_ATTEMPTS || !/address already in use|could not create server/i.test(error.message))
        throw error;
    }
  }
}

const address = (password, ports) => `redis://:${password}@${ports.map((port) => `127.0.0.1:${port}`).join(',')}`;

function howToGetOne() {
  return [
    'The tests need Redis (6.2 or newer) and found no way to one. Any of these will do:',
    `  - addresses:      ${ADDRESS}, ${AOF_ADDRESS} (appendonly yes, appendfsync always), ${CLUSTER_ADDRESS} (redis://a,b?cluster=true)`,
    '  - its programs:   install Redis or Valkey so that `redis-server` and `redis-cli` are on the PATH',
    '  - Debian, Ubuntu: run as root, and the tests install the package themselves',
    '  - Docker on Linux: start the daemon, and the tests run throw-away containers',
    '  - do without:     npm test -- --only unit,memory,pglite,postgres',
  ].join('\n');
}
