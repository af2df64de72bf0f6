// Opens a PGlite folder and stays until it is killed. What `kill -9` is tried on must be a process of its own.
import { pgliteBroker } from '../src/index.ts';
import { newTask } from './builders.ts';

const broker = pgliteBroker({ folder: process.argv[2] ?? '' });
await broker.open();
await broker.enqueue([newTask({ id: 'from-the-holder' })]);
process.send?.('ready');
setInterval(() => {}, 1_000);
