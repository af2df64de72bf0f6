import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import type { Report } from './build.ts';
import { toMarkdown } from './markdown.ts';

/** Writes report.md and report.json into the folder. */
export async function writeReport(report: Report, folder: string): Promise<void> {
  await writeFile(path.join(folder, 'report.md'), `${toMarkdown(report)}\n`);
  await writeFile(path.join(folder, 'report.json'), `${JSON.stringify(report, undefined, 2)}\n`);
}
