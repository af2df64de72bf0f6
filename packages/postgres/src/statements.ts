import type { Statement } from './connection.ts';
import * as texts from './sql/statements.ts';

type Name = Exclude<keyof typeof texts, 'migrations'>;

/** All statements of this package, for one schema. */
export type Statements = { readonly [K in Name]: Statement };

/** One step of the schema's history. */
export interface Migration {
  readonly version: number;
  readonly name: string;
  readonly sql: string;
}

/** The files say `millrace.`, so that they are valid SQL as they stand. */
const schemaPrefix = /\bmillrace\./g;

/** The statements with the schema's name put in. */
export function loadStatements(schema: string): Statements {
  const quoted = `${quoteIdentifier(schema)}.`;
  const { migrations: _, ...rest } = texts;
  const entries = Object.entries(rest).map(([name, text]) => [
    name,
    { name: `millrace:${name}`, text: text.replace(schemaPrefix, () => quoted) },
  ]);
  return Object.fromEntries(entries) as Statements;
}

/** The migrations with the schema's name put in. */
export function loadMigrations(schema: string): readonly Migration[] {
  const quoted = `${quoteIdentifier(schema)}.`;
  return texts.migrations.map((migration) => ({
    ...migration,
    sql: migration.sql.replace(schemaPrefix, () => quoted),
  }));
}

/** A name as SQL text, safe whatever it holds. */
export function quoteIdentifier(name: string): string {
  return `"${name.replaceAll('"', '""')}"`;
}

/** A value as SQL text, safe whatever it holds. */
export function quoteText(text: string): string {
  return `'${text.replaceAll("'", "''")}'`;
}
