// npm start [-- <folder>]: installs if needed, then runs the digest example on the embedded broker, in this very process.
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import { exitWithNpm } from './exit-with-npm.mjs';
import { ensureInstalled } from './pnpm.mjs';
import { root } from './workspace.mjs';

exitWithNpm();
await ensureInstalled();

// npm runs scripts in the workspace root and keeps the user's own directory in INIT_CWD.
const userDirectory = process.env.INIT_CWD ?? process.cwd();
// pnpm hands on the `--` that npm keeps.
const [folder, ...rest] = process.argv.slice(2).filter((argument) => argument !== '--');
const main = path.join(root, 'examples', 'digest', 'src', 'main.ts');
process.argv = [process.execPath, main, folder === undefined ? root : path.resolve(userDirectory, folder), ...rest];

// In this process, not in a child: what npm starts is what holds the database, and one kill ends it.
const { register } = await import('tsx/esm/api');
register();
await import(pathToFileURL(main).href);
