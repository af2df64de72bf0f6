// tsx conformance/test/write-report.ts <harness file>…: runs the suite on each and writes the part of the result that
// is committed, reports/<subject>.json. Exit code 1 when a scenario failed.
import { writeFileSync } from 'node:fs';
import { pathToFileURL } from 'node:url';
import type { BrokerHarness } from '../src/harness.ts';
import { committedReport } from '../src/report/report.ts';
import { runConformance } from '../src/run-conformance.ts';

interface HarnessFile {
  readonly harness: BrokerHarness;
  /** Ends what the harness started. */
  readonly close?: () => Promise<void>;
}

for (const file of process.argv.slice(2)) {
  const { harness, close } = (await import(pathToFileURL(file).href)) as HarnessFile;
  const report = await runConformance(harness, {
    onResult: ({ id, status, reason = '', ms }) => {
      if (status !== 'pass') process.stdout.write(`${id} ${status}, ${Math.round(ms)} ms: ${reason}\n`);
    },
  });
  const target = new URL(`../reports/${report.subject.name}.json`, import.meta.url);
  writeFileSync(target, `${JSON.stringify(committedReport(report), null, 2)}\n`);
  for (const [tier, profile] of Object.entries(report.profiles)) {
    process.stdout.write(`${report.subject.name} ${tier}: ${JSON.stringify(profile)}\n`);
    if (profile.result === 'failure') process.exitCode = 1;
  }
  await close?.();
}
// Some drivers keep a process alive that is done.
process.exit();
