import pg from 'pg';

/** Runs statements that return nothing of interest, on a connection of their own. */
export async function runSql(url: string, sql: string): Promise<void> {
  await withClient(url, (client) => client.query(sql));
}

/** The single value of a query that calls it `answer`. */
export async function ask<T extends string | number | boolean>(url: string, sql: string): Promise<T> {
  return withClient(url, (client) => askOn<T>(client, sql));
}

/** The same on a connection that is there already. */
export async function askOn<T>(client: pg.Client, sql: string): Promise<T> {
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

/** A database for one measurement, so that no run leaves dead rows to the next. Returns its address. */
export async function freshDatabase(serverUrl: string, name: string, template = 'template0'): Promise<string> {
  await dropDatabase(serverUrl, name);
  await runSql(serverUrl, `create database ${name} template ${template}`);
  const url = new URL(serverUrl);
  url.pathname = `/${name}`;
  return url.href;
}

export async function dropDatabase(serverUrl: string, name: string): Promise<void> {
  await runSql(serverUrl, `drop database if exists ${name} with (force)`);
}

/** What autovacuum would have done by the time a backlog stands, and no checkpoint left to fall into the run. */
export async function settleDatabase(url: string): Promise<void> {
  await runSql(url, 'vacuum analyze');
  await runSql(url, 'checkpoint');
}
