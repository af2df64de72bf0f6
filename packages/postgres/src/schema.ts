import { ConfigurationError, isMillraceError } from '@millrace/core';
import type { Database, Statement } from './connection.ts';
import { loadMigrations, type Migration, quoteIdentifier, quoteText, type Statements } from './statements.ts';

/** Creating a large index may take longer than anything else does. */
const migrationTimeoutMs = 600_000;

/**
 * Brings the schema to the version of this code. Each step is a transaction under one lock, so that any number of
 * processes may start at once: one does the work, the others wait and find it done (MOD-05).
 * @throws ConfigurationError with reason `schema-too-new`, `schema-too-old` or `schema-missing`
 */
export async function openSchema(
  database: Database,
  statements: Statements,
  options: { readonly schema: string; readonly migrate: boolean },
): Promise<void> {
  const migrations = loadMigrations(options.schema);
  const wanted = migrations.length;
  const found = await readVersion(database, statements);
  if (found > wanted) throw refusal(database, options.schema, 'schema-too-new', found, wanted);
  if (found === wanted) return;
  if (!options.migrate) {
    throw refusal(database, options.schema, found === 0 ? 'schema-missing' : 'schema-too-old', found, wanted);
  }
  for (const migration of migrations.slice(found)) await applyMigration(database, options.schema, migration);
}

async function readVersion(database: Database, statements: Statements): Promise<number> {
  try {
    const rows = await database.query(statements.readVersion, [], { op: 'open', writes: false });
    return Number(rows[0]?.[0] ?? 0);
  } catch (error) {
    if (isMillraceError(error, 'CONFIGURATION') && error.reason === 'schema-missing') return 0;
    throw error;
  }
}

/** Applies one migration unless somebody else did while this process waited for the lock. */
function applyMigration(database: Database, schema: string, { version, name, sql }: Migration): Promise<void> {
  const quoted = quoteIdentifier(schema);
  return database.transaction({ op: 'open', timeoutMs: migrationTimeoutMs }, async ({ run, script }) => {
    await script(`
      set local statement_timeout = 0;
      set local lock_timeout = 0;
      set local idle_in_transaction_session_timeout = 0;
      select pg_advisory_xact_lock(hashtextextended(${quoteText(`millrace:${schema}`)}, 0))`);
    const table = quoteText(`${quoted}.schema_version`);
    const [looked] = await run(
      once(`select to_regnamespace(${quoteText(quoted)}) is not null, to_regclass(${table}) is not null`),
      [],
    );
    // Asked separately: `if not exists` needs the right to create a schema even where it exists.
    if (looked?.[0] !== true) await script(`create schema ${quoted}`);
    if (looked?.[1] === true) {
      const [reached] = await run(once(`select max(version) from ${quoted}.schema_version`), []);
      if (Number(reached?.[0] ?? 0) >= version) return;
    }
    await script(sql);
    await script(`insert into ${quoted}.schema_version (version, name) values (${version}, ${quoteText(name)})`);
  });
}

/** A statement that is used once and not remembered by the server. */
function once(text: string): Statement {
  return { name: '', text };
}

function refusal(
  database: Database,
  schema: string,
  reason: 'schema-too-new' | 'schema-too-old' | 'schema-missing',
  found: number,
  wanted: number,
): ConfigurationError {
  const messages = {
    'schema-too-new': `the schema '${schema}' has version ${found}, this release knows ${wanted}; update @millrace/postgres`,
    'schema-too-old': `the schema '${schema}' has version ${found} of ${wanted}; open it once with migrate: true`,
    'schema-missing': `the schema '${schema}' has no tables of Millrace; open it once with migrate: true`,
  };
  return new ConfigurationError(`open: ${messages[reason]}`, {
    op: 'open',
    adapter: database.adapter,
    option: 'schema',
    reason,
  });
}
