import pg from 'pg';
import type { Probe } from '../subject.ts';

/** Runs statements that return nothing of interest, on a connection of their own. */
export async function runSql(url: string, sql: string): Promise<void> {
  await withClient(url, (client) => client.query(sql));
}

/** The single value of a query that calls it `answer`. */
export async function ask<T extends string | number | boolean>(url: string, sql: string): Promise<T> {
  return withClient(url, (client) => askOn<T>(client, sql));
}

/** The same on a connection that is there already. */
async function askOn<T>(client: pg.Client, sql: string): Promise<T> {
  const { rows } = await client.query<{ answer: T }>(sql);
  const [row] = rows;
  if (row === undefined) throw new Error(`no row: ${sql}`);
  return row.answer;
}

export async function withClient<T>(url: string, use: (client: pg.Client) => Promise<T>): Promise<T> {
  const client = new pg.Client(url);
  await client.connect();
  try {
    return await use(client);
  } finally {
    await client.end();
  }
}

/** The answers of a probe as queries; each calls its single value `answer`. */
export interface SqlChecks {
  readonly anyLeft: string;
  readonly left: string;
  readonly kept?: string;
}

/** Makes the `probe` of a subject from queries. */
export function sqlProbe({ anyLeft, left, kept }: SqlChecks): (url: string) => Promise<Probe> {
  return async (url) => {
    const client = new pg.Client(url);
    await client.connect();
    return {
      anyLeft: () => askOn<boolean>(client, anyLeft),
      left: () => askOn<number>(client, left),
      ...(kept !== undefined && { kept: () => askOn<number>(client, kept) }),
      close: () => client.end(),
    };
  };
}
