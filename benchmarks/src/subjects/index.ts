import type { Subject } from '../subject.ts';

/** Loaded one at a time: a child process holds no code of the others. */
const subjects: Readonly<Record<string, () => Promise<Subject>>> = {
  'raw:single': async () => (await import('./raw.ts')).rawSingle,
  'raw:batch-del': async () => (await import('./raw.ts')).rawDelete,
  'raw:batch-arch': async () => (await import('./raw.ts')).rawArchive,
  'graphile-worker': async () => (await import('./graphile-worker.ts')).graphileWorker,
  'pg-boss': async () => (await import('./pg-boss.ts')).pgBoss,
  'pg-boss (notify)': async () => (await import('./pg-boss.ts')).pgBossNotify,
  'bullmq (postgres)': async () => (await import('./bullmq.ts')).bullmq,
  millrace: async () => (await import('./millrace.ts')).millrace,
};

export const subjectNames: readonly string[] = Object.keys(subjects);

/** @throws when there is no subject of that name */
export async function loadSubject(name: string): Promise<Subject> {
  const load = subjects[name];
  if (load === undefined) throw new Error(`no subject "${name}"; there are ${subjectNames.join(', ')}`);
  return load();
}
