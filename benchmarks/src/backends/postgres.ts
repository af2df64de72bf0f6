import { parentOf } from '../processor-time.ts';
import type { Backend, ServerFacts } from './backend.ts';
import { ask, runSql, withClient } from './sql.ts';

const runDatabase = 'bench_run';

const decisive = [
  'fsync',
  'synchronous_commit',
  'full_page_writes',
  'shared_buffers',
  'max_wal_size',
  'wal_level',
  'autovacuum',
];

/**
 * A database for each run, copied from a template with the subject's schema, so that no run leaves dead rows to the
 * next.
 */
export function postgresBackend(serverUrl: string): Backend {
  const templates = new Map<string, string>();

  async function templateOf(subject: string, install: (url: string) => Promise<void>): Promise<string> {
    const known = templates.get(subject);
    if (known !== undefined) return known;
    const name = `bench_template_${templates.size}`;
    await install(await createDatabase(name, 'template0'));
    templates.set(subject, name);
    return name;
  }

  async function createDatabase(name: string, template: string): Promise<string> {
    await dropDatabase(name);
    await runSql(serverUrl, `create database ${name} template ${template}`);
    const url = new URL(serverUrl);
    url.pathname = `/${name}`;
    return url.href;
  }

  const dropDatabase = (name: string): Promise<void> =>
    runSql(serverUrl, `drop database if exists ${name} with (force)`);

  return {
    name: 'postgres',
    facts: () => readFacts(serverUrl),
    async serverPid() {
      // Any child of the server's main process will do that is there as long as the server is.
      const pid = "select pid as answer from pg_stat_activity where backend_type = 'checkpointer'";
      return parentOf(await ask<number>(serverUrl, pid));
    },
    async fresh(subject, install) {
      return createDatabase(runDatabase, await templateOf(subject, install));
    },
    async settle(url) {
      // What autovacuum would have done by the time a backlog stands, and no checkpoint left to fall into the run.
      await runSql(url, 'vacuum analyze');
      await runSql(url, 'checkpoint');
    },
    usedBytes: (url) => ask<number>(url, 'select pg_database_size(current_database())::float8 as answer'),
    async close() {
      for (const name of [runDatabase, ...templates.values()]) await dropDatabase(name);
    },
  };
}

async function readFacts(url: string): Promise<ServerFacts> {
  return {
    name: 'PostgreSQL',
    version: await ask<string>(url, "select current_setting('server_version') as answer"),
    settings: await withClient(url, async (client) => {
      const { rows } = await client.query<{ name: string; value: string }>(
        'select name, current_setting(name) as value from unnest($1::text[]) as name',
        [decisive],
      );
      return Object.fromEntries(rows.map(({ name, value }) => [name, value]));
    }),
  };
}
