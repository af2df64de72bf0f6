// pnpm bench [-- options]: installs what is compared, builds, starts a private PostgreSQL, measures, stops everything.
import { once } from 'node:events';
import { cpSync, existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { exitWithNpm } from './exit-with-npm.mjs';
import { ensureInstalled } from './pnpm.mjs';
import { startPostgres } from './servers/postgres.mjs';
import { createKeeper, run } from './servers/process.mjs';
import { root } from './workspace.mjs';

const folder = path.join(root, 'benchmarks');
/** Not part of the workspace: the peers want a newer Node than we do, and nobody who works on Millrace needs them. */
const peers = path.join(folder, '.peers');
const MANIFESTS = ['package.json', 'package-lock.json'];
const PEERS_NODE = [22, 18];

const keeper = createKeeper();
exitWithNpm();
for (const [signal, code] of Object.entries({ SIGINT: 130, SIGTERM: 143, SIGHUP: 129 })) {
  process.once(signal, () => keeper.stop().then(() => process.exit(code)));
}
try {
  await ensureInstalled();
  await installPeers();
  await build();
  const server = await startPostgres(keeper);
  process.exitCode = await measure(server.MILLRACE_TEST_POSTGRES_URL);
} catch (error) {
  console.error(`\n${error.message}`);
  process.exitCode = 1;
}
await keeper.stop();

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
    external: ['pg', 'pg-boss', 'graphile-worker', 'bullmq', '@electric-sql/pglite'],
  });
}

async function measure(url) {
  const child = keeper.spawn(
    peersNode(),
    ['--enable-source-maps', path.join(peers, 'dist', 'main.js'), ...process.argv.slice(2)],
    {
      cwd: folder,
      stdio: ['ignore', 'inherit', 'inherit'],
      env: { ...process.env, MILLRACE_BENCH_POSTGRES_URL: url, MILLRACE_BENCH_FOLDER: folder },
    },
  );
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
