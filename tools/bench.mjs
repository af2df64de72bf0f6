// pnpm bench [-- --backend postgres,redis,amqp] [options]: installs what is compared, builds, starts a private server of
// each kind, measures, stops everything.
import { once } from 'node:events';
import { cpSync, existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { exitWithNpm } from './exit-with-npm.mjs';
import { ensureInstalled } from './pnpm.mjs';
import { createKeeper, run } from './servers/process.mjs';
import { readManifest, root } from './workspace.mjs';

const folder = path.join(root, 'benchmarks');
/** Not part of the workspace: the peers want a newer Node than we do, and nobody who works on Millrace needs them. */
const peers = path.join(folder, '.peers');
const MANIFESTS = ['package.json', 'package-lock.json'];
const PEERS_NODE = [22, 18];

/** How each kind of server starts; loaded when it is asked for. */
const servers = {
  postgres: async () => (await import('./servers/postgres.mjs')).startPostgres,
  redis: async () => (await import('./servers/redis.mjs')).startRedis,
  amqp: async () => (await import('./servers/rabbitmq.mjs')).startRabbitmq,
};

let keeper = createKeeper();
let interrupted = false;
exitWithNpm();
for (const [signal, code] of Object.entries({ SIGINT: 130, SIGTERM: 143, SIGHUP: 129 })) {
  process.once(signal, () => {
    interrupted = true;
    return keeper.stop().then(() => process.exit(code));
  });
}
try {
  const { backends, rest } = readArguments(process.argv.slice(2).filter((argument) => argument !== '--'));
  await ensureInstalled();
  await installPeers();
  await build();
  for (const backend of backends) {
    // Only the server that is measured runs.
    const code = await measure(backend, rest);
    process.exitCode ||= code;
    await keeper.stop();
    if (backend !== backends.at(-1)) keeper = createKeeper();
  }
} catch (error) {
  if (!interrupted) console.error(`\n${error.message}`);
  process.exitCode = 1;
  await keeper.stop();
}

/** @throws when there is no such backend */
function readArguments(args) {
  const rest = [];
  let list = 'postgres';
  for (let index = 0; index < args.length; index++) {
    if (args[index] === '--backend') list = args[++index] ?? '';
    else if (args[index].startsWith('--backend=')) list = args[index].slice('--backend='.length);
    else rest.push(args[index]);
  }
  const backends = list.split(',').map((name) => name.trim());
  const unknown = backends.filter((name) => !Object.hasOwn(servers, name));
  if (unknown.length > 0) {
    throw new Error(
      `--backend: nothing called "${unknown.join('", "')}"; there are ${Object.keys(servers).join(', ')}`,
    );
  }
  return { backends, rest };
}

/** Exactly what the lockfile names, and none of its install scripts. */
async function installPeers() {
  const read = (from) => MANIFESTS.map((name) => path.join(from, name)).map((file) => readFileSync(file, 'utf8'));
  const wanted = read(path.join(folder, 'peers')).join('');
  const stamp = path.join(peers, 'node_modules', '.millrace-installed');
  if (existsSync(stamp) && readFileSync(stamp, 'utf8') === wanted) return;
  console.log('Installing the peers and their Node (once, some 200 MB)…');
  mkdirSync(peers, { recursive: true });
  for (const name of MANIFESTS) cpSync(path.join(folder, 'peers', name), path.join(peers, name));
  await run('npm', ['ci', '--ignore-scripts', '--no-audit', '--no-fund', '--loglevel=error'], {
    cwd: peers,
    shell: process.platform === 'win32',
  });
  writeFileSync(stamp, wanted);
}

/** One plain JavaScript file a subject, as an application would deploy it: no loader runs while we measure. */
async function build() {
  const { build: bundle } = await import('tsup');
  await bundle({
    config: false,
    entry: { main: path.join(folder, 'src', 'main.ts'), child: path.join(folder, 'src', 'child.ts') },
    outDir: path.join(peers, 'dist'),
    format: 'esm',
    target: 'node22',
    platform: 'node',
    splitting: true,
    sourcemap: true,
    clean: true,
    silent: true,
    tsconfig: path.join(folder, 'tsconfig.json'),
    // Ours goes in, from source; everybody else's is loaded as it was published.
    noExternal: [/^@millrace\//, 'uuid'],
    external: [...Object.keys(readManifest('benchmarks/peers').dependencies), '@electric-sql/pglite'],
  });
}

async function measure(backend, args) {
  const start = await servers[backend]();
  const environment = await start(keeper, {});
  const child = keeper.spawn(peersNode(), ['--enable-source-maps', path.join(peers, 'dist', 'main.js'), ...args], {
    cwd: folder,
    stdio: ['ignore', 'inherit', 'inherit'],
    env: { ...process.env, ...environment, MILLRACE_BENCH_BACKEND: backend, MILLRACE_BENCH_FOLDER: folder },
  });
  const [code] = await once(child, 'exit');
  return code ?? 1;
}

/** The Node of the lockfile, so that figures can be repeated; where it is not published, the one that runs this. */
function peersNode() {
  const platform = process.platform === 'win32' ? 'win' : process.platform;
  const binary = process.platform === 'win32' ? 'node.exe' : 'node';
  const file = path.join(peers, 'node_modules', `node-${platform}-${process.arch}`, 'bin', binary);
  if (existsSync(file)) return file;
  const [major = 0, minor = 0] = process.versions.node.split('.').map(Number);
  const [wantedMajor, wantedMinor] = PEERS_NODE;
  if (major > wantedMajor || (major === wantedMajor && minor >= wantedMinor)) return process.execPath;
  throw new Error(`The peers need Node ${PEERS_NODE.join('.')} or newer; this is ${process.versions.node}.`);
}
