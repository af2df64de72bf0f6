import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import type { Report } from './build.ts';
import { toMarkdown } from './markdown.ts';

/** Writes report-<backend>.md and .json into the folder. */
export async function writeReport(report: Report, folder: string): Promise<void> {
  const file = path.join(folder, `report-${report.backend}`);
  await writeFile(`${file}.md`, `${toMarkdown(report)}\n`);
  await writeFile(`${file}.json`, `${JSON.stringify(report, undefined, 2)}\n`);
}
