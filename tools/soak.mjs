// node tools/soak.mjs --backend amqp [--tasks 100000] [--delays 10000] [--only faults,delays,restart]: what takes
// minutes. Enqueues and works off tasks while a private server is restarted, killed and frozen and links are cut, and
// measures how late delayed tasks come. Prints what was lost, and fails when anything was.
import { once } from 'node:events';
import path from 'node:path';
import { exitWithNpm } from './exit-with-npm.mjs';
import { ensureInstalled } from './pnpm.mjs';
import { createKeeper } from './servers/process.mjs';
import { root } from './workspace.mjs';

/** The program of each backend, and how to find the server's programs, which it starts and stops itself. */
const soaks = {
  amqp: {
    program: path.join(root, 'packages', 'amqp', 'test', 'soak-program.ts'),
    server: async () => (await import('./servers/rabbitmq.mjs')).startRabbitmq,
  },
};

const keeper = createKeeper();
exitWithNpm();
for (const [signal, code] of Object.entries({ SIGINT: 130, SIGTERM: 143, SIGHUP: 129 })) {
  process.once(signal, () => keeper.stop().then(() => process.exit(code)));
}
try {
  const args = process.argv.slice(2).filter((argument) => argument !== '--');
  const at = args.indexOf('--backend');
  const [, backend] = at === -1 ? [] : args.splice(at, 2);
  if (!Object.hasOwn(soaks, backend ?? '')) {
    throw new Error(`--backend must be one of ${Object.keys(soaks).join(', ')}; got "${backend ?? 'nothing'}"`);
  }
  await ensureInstalled();
  const { program, server } = soaks[backend];
  const environment = await (await server())(keeper, {});
  const child = keeper.spawn(process.execPath, ['--import', 'tsx', program, ...args], {
    cwd: root,
    stdio: ['ignore', 'inherit', 'inherit'],
    env: { ...process.env, ...environment },
  });
  const [code] = await once(child, 'exit');
  process.exitCode = code ?? 1;
} catch (error) {
  console.error(`\n${error.message}`);
  process.exitCode = 1;
} finally {
  await keeper.stop();
}
