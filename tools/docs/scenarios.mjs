// The whole matrix: what each broker can do and which scenarios it passes, from the committed reports of the suite.
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { capabilityMatrix } from '../../conformance/src/report/matrix.ts';
import { root } from '../workspace.mjs';

/** Order of the columns; others follow by name. */
const usual = ['memory', 'pglite', 'postgres', 'redis', 'amqp', 'amqp-guard'];

export function produce() {
  const folder = path.join(root, 'conformance/reports');
  const files = existsSync(folder) ? readdirSync(folder).filter((file) => file.endsWith('.json')) : [];
  const reports = files.map((file) => JSON.parse(readFileSync(path.join(folder, file), 'utf8')));
  const rank = ({ subject }) => (usual.includes(subject.name) ? usual.indexOf(subject.name) : usual.length);
  reports.sort((a, b) => rank(a) - rank(b) || a.subject.name.localeCompare(b.subject.name));
  return reports.length === 0 ? 'No report yet: run `npm test`.' : capabilityMatrix(reports);
}
