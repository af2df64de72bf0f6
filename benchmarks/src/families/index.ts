import type { BackendName } from '../backends/backend.ts';
import type { Subject } from '../subject.ts';
import { amqpFamily } from './amqp.ts';
import type { Family } from './family.ts';
import { postgresFamily } from './postgres.ts';
import { redisFamily } from './redis.ts';

export const families: Readonly<Record<BackendName, Family>> = {
  postgres: postgresFamily,
  redis: redisFamily,
  amqp: amqpFamily,
};

/** @throws when there is no such family */
export function familyNamed(name: string | undefined): Family {
  const found = Object.values(families).find((family) => family.name === name);
  if (found === undefined) throw new Error(`--backend: nothing called "${name}"; ${Object.keys(families).join(', ')}`);
  return found;
}

/** @throws when there is no subject of that name */
export async function loadSubject(family: Family, name: string): Promise<Subject> {
  const load = family.subjects[name];
  if (load === undefined) throw new Error(`no subject "${name}"; there are ${Object.keys(family.subjects).join(', ')}`);
  return load();
}
