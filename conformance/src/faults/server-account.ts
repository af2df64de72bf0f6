import { readFileSync } from 'node:fs';

/** Whom a process runs as. */
export interface Account {
  readonly uid: number;
  readonly gid: number;
}

/**
 * Servers such as PostgreSQL refuse to run as root. The account given, by name or id; without one, root becomes
 * `postgres` or `nobody`, and everybody else stays who they are.
 * @throws Error when the account does not exist
 */
export function resolveAccount(user: string | Account | undefined): Account | undefined {
  if (typeof user === 'object') return user;
  if (process.getuid?.() !== 0) return undefined;
  const accounts = readFileSync('/etc/passwd', 'utf8')
    .split('\n')
    .map((line) => line.split(':'));
  for (const wanted of user === undefined ? ['postgres', 'nobody'] : [user]) {
    const found = accounts.find(([name]) => name === wanted);
    if (found !== undefined) return { uid: Number(found[2]), gid: Number(found[3]) };
  }
  throw new Error(
    `there is no account ${user === undefined ? '`postgres` or `nobody`' : `'${user}'`} to run a server as`,
  );
}
