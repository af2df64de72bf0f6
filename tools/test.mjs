// npm test [-- --only unit,memory,…] [--all] [-- -t pattern]: installs, starts private servers, runs vitest, stops everything,
// and ends with the line `N passed, N failed, N skipped`.
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { exitWithNpm } from './exit-with-npm.mjs';
import { CHOSEN_LANES, lanes } from './lanes.mjs';
import { ensureInstalled } from './pnpm.mjs';
import { keepTemporaryFilesInMemory } from './servers/in-memory.mjs';
import { startPgbouncer } from './servers/pgbouncer.mjs';
import { startPostgres } from './servers/postgres.mjs';
import { createKeeper } from './servers/process.mjs';
import { startRabbitmq } from './servers/rabbitmq.mjs';
import { startRedis } from './servers/redis.mjs';
import { SUMMARY_FILE } from './summary-reporter.mjs';
import { root } from './workspace.mjs';

// Groups start side by side; within one, each server gets the environment the ones before it made. The one that takes
// longest comes first: packages are installed in this order.
const servers = [
  { rabbitmq: (keeper) => startRabbitmq(keeper, { oneScheduler: true }) },
  { postgres: startPostgres, pgbouncer: startPgbouncer },
  { redis: startRedis },
];

// pnpm hands on the `--` that npm keeps.
const { chosen, all, vitestArguments } = readArguments(process.argv.slice(2).filter((argument) => argument !== '--'));
const keeper = createKeeper();
let interrupted = false;
// Even the hard exit is safe: the watchdog sees it and stops what runs.
exitWithNpm();
for (const [signal, code] of Object.entries({ SIGINT: 130, SIGTERM: 143, SIGHUP: 129 })) {
  process.once(signal, async () => {
    interrupted = true;
    await keeper.stop();
    process.exit(code);
  });
}

let summary;
try {
  keepTemporaryFilesInMemory(keeper);
  // Servers start while packages are fetched: neither needs the other.
  const installed = ensureInstalled();
  const environment = await startServers().finally(() => installed);
  summary = await runVitest(environment);
} catch (error) {
  if (!interrupted) console.error(`\n${error.message}`);
  summary = { passed: 0, failed: 1, skipped: [], failures: [error.message.split('\n', 1)[0]] };
}
await keeper.stop();
if (!interrupted) report(summary);

function readArguments(args) {
  const rest = [];
  let only;
  let all = false;
  for (let index = 0; index < args.length; index++) {
    if (args[index] === '--only') only = args[++index] ?? '';
    else if (args[index] === '--all') all = true;
    else if (args[index].startsWith('--only=')) only = args[index].slice('--only='.length);
    else rest.push(args[index]);
  }
  const names = only === undefined ? Object.keys(lanes) : only.split(',').map((name) => name.trim());
  const unknown = names.filter((name) => !Object.hasOwn(lanes, name));
  if (unknown.length > 0) {
    console.error(`--only: no lane "${unknown.join('", "')}"; there are ${Object.keys(lanes).join(', ')}`);
    process.exit(2);
  }
  return { chosen: names, all, vitestArguments: rest };
}

async function startServers() {
  const needed = new Set(chosen.flatMap((name) => lanes[name].servers));
  const startGroup = async (group) => {
    const environment = {};
    for (const [name, start] of Object.entries(group)) {
      if (needed.has(name)) Object.assign(environment, await start(keeper, environment));
    }
    return environment;
  };
  // Nothing may still be starting when the others are stopped.
  const groups = await Promise.allSettled(servers.map(startGroup));
  for (const { reason } of groups) if (reason !== undefined) throw reason;
  return Object.assign({}, ...groups.map(({ value }) => value));
}

async function runVitest(environment) {
  const summaryFile = path.join(keeper.temporaryFolder('summary'), 'summary.json');
  const vitest = path.join(root, 'node_modules', 'vitest', 'vitest.mjs');
  const reporters = ['--reporter', 'dot', '--reporter', path.join(root, 'tools', 'summary-reporter.mjs')];
  const child = keeper.spawn(process.execPath, [vitest, 'run', ...reporters, ...vitestArguments], {
    cwd: root,
    stdio: ['ignore', 'inherit', 'inherit'],
    // Where the same was seen elsewhere, a part of the suite is enough day by day; `--all` runs the whole.
    env: {
      ...process.env,
      ...environment,
      ...(all && { MILLRACE_TEST_ALL: '1' }),
      [CHOSEN_LANES]: chosen.join(','),
      [SUMMARY_FILE]: summaryFile,
    },
  });
  const [code] = await once(child, 'exit');
  const result = readSummary(summaryFile);
  if (code !== 0 && result.failed === 0 && !interrupted) {
    console.error(`\nvitest ended with exit code ${code}; see above.`);
    result.failed = 1;
    result.failures.push(`vitest ended with exit code ${code}`);
  }
  return result;
}

function readSummary(file) {
  try {
    return JSON.parse(readFileSync(file, 'utf8'));
  } catch {
    return { passed: 0, failed: 0, skipped: [], failures: [] };
  }
}

function report({ passed, failed, skipped, failures }) {
  for (const { name, reason } of skipped)
    console.log(`skipped: ${name.includes(reason) ? name : `${name} [${reason}]`}`);
  for (const failure of failures) console.error(`failed: ${failure}`);
  const nothingRan = passed + failed === 0;
  if (nothingRan) console.error('failed: no test ran');
  console.log(`${passed} passed, ${failed} failed, ${skipped.length} skipped`);
  process.exitCode = failed > 0 || nothingRan ? 1 : 0;
}
