import { PGlite, type Transaction } from '@electric-sql/pglite';
import type { BrokerHarness } from '@millrace/conformance';
import { type PostgresTransaction, pgliteBroker } from '../src/index.ts';
import { travelScript, withSavepoint } from './harness.ts';

/** One database in memory for the whole run, a schema per namespace: opening one takes seconds. */
const opened: PGlite = await PGlite.create();
// As the broker does it where the database is its own.
await opened.exec('set enable_seqscan = off; set enable_bitmapscan = off; set plan_cache_mode = force_generic_plan;');

/** The broker inside this process, as the conformance suite sees it. */
export const harness: BrokerHarness = {
  name: 'pglite',
  concurrency: 3,
  connect: ({ namespace, clock }) => pgliteBroker({ database: opened, schema: namespace, clock }),
  drop: async ({ namespace }) => {
    await opened.exec(`drop schema if exists "${namespace}" cascade`);
  },
  hooks: {
    transaction: (_target, body) => opened.transaction((transaction: Transaction) => body(transaction)) as never,
    savepoint: (transaction, body) => withSavepoint(transaction as PostgresTransaction, body),
    travel: async ({ namespace }, ms) => {
      await opened.exec(travelScript(namespace, ms));
    },
    corrupt: async ({ namespace }, taskId, payload) => {
      await opened.query(`update "${namespace}".task set input = $2 where id = $1`, [taskId, payload]);
    },
    ageAdapter: async ({ namespace }) => {
      await opened.exec(`insert into "${namespace}".schema_version (version, name) values (9999, 'of tomorrow')`);
    },
    dump: async ({ namespace }) => (await opened.query(`select * from "${namespace}".record order by id`)).rows,
    resources: async ({ namespace }) => {
      const { rows } = await opened.query<{ count: number }>(
        `select count(*)::integer as count from "${namespace}".session`,
      );
      return { sessions: rows[0]?.count ?? 0 };
    },
  },
  backend: async () => {
    const { rows } = await opened.query<{ server_version: string }>('show server_version');
    return { name: 'PGlite', version: rows[0]?.server_version ?? '' };
  },
};

/** Families of scenarios. It computes on one thread, so the suite is run in two halves, each in a process of its own. */
export const firstHalf: RegExp = /^(CON|LSE|MOD|STM)-/;
