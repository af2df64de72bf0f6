import type { ConformanceReport } from './report.ts';

/** What a badge service (shields.io endpoint) wants to know. */
export interface Badge {
  readonly schemaVersion: 1;
  readonly label: string;
  readonly message: string;
  readonly color: 'brightgreen' | 'yellow' | 'red';
}

/** A report in a few words: the profiles that were passed, or what is wrong. */
export function badgeOf(report: ConformanceReport): Badge {
  const { core, extended, fault } = report.profiles;
  const label = `Millrace contract ${report.suite.spec}`;
  const profiles = [core, extended, fault];
  const broken = profiles.reduce((sum, { fail, error }) => sum + fail + error, 0);
  if (broken > 0) return { schemaVersion: 1, label, message: `${broken} failing`, color: 'red' };
  const waived = profiles.reduce((sum, tally) => sum + tally.waived, 0);
  const parts = [
    ...(core.pass > 0 ? ['Core'] : []),
    ...(extended.pass > 0 ? [`${extended.pass} extended`] : []),
    ...(fault.pass > 0 ? [`${fault.pass} faults`] : []),
    ...(waived > 0 ? [`${waived} waived`] : []),
  ];
  const message = parts.length === 0 ? 'nothing ran' : parts.join(' + ');
  return { schemaVersion: 1, label, message, color: core.pass === 0 || waived > 0 ? 'yellow' : 'brightgreen' };
}
