import { readFileSync } from 'node:fs';
import { capabilityMatrix } from '../report/matrix.ts';
import type { ConformanceReport } from '../report/report.ts';
import { type Terminal, UsageError } from './terminal.ts';

/** Prints the table of what brokers claim and proved, from their reports. */
export function matrixCommand(files: readonly string[], terminal: Terminal): boolean {
  if (files.length === 0) throw new UsageError('name the reports, such as reports/*.json');
  terminal.out(capabilityMatrix(files.map(readReport)).trimEnd());
  return true;
}

function readReport(file: string): ConformanceReport {
  let report: Partial<ConformanceReport> | null;
  try {
    report = JSON.parse(readFileSync(file, 'utf8')) as Partial<ConformanceReport> | null;
  } catch (error) {
    throw new UsageError(`${file} is no report: ${(error as Error).message}`);
  }
  if (report?.schema !== 1) throw new UsageError(`${file} is no report of schema 1`);
  return report as ConformanceReport;
}
