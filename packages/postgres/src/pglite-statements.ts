import { randomBytes } from 'node:crypto';
import type { Row, Statement, Value } from './connection.ts';

interface QueryOptions {
  readonly rowMode?: 'array' | 'object';
  readonly parsers?: Record<number, (text: string) => unknown>;
}

/** The part of a PGlite, or of a transaction of one, that runs statements. */
export interface Queryable {
  query(text: string, values?: unknown[], options?: QueryOptions): Promise<{ rows: unknown[] }>;
  exec(text: string, options?: QueryOptions): Promise<readonly { rows: unknown[] }[]>;
}

const options: QueryOptions = { rowMode: 'array', parsers: { 20: Number } };

/**
 * Where others set how statements are planned, a plan is used for so long: it was made for tables as they were, and what
 * is read whole while a table is small must not be when it has grown.
 */
const oldestPlanMs = 1_000;
/** Parameters longer than this are bound: written into a statement they would cost more than planning it does. */
const longestText = 65_536;

/**
 * The statements a PGlite has prepared. What PGlite runs by itself it parses and plans each time, which takes two thirds
 * of the time of ours; and it offers nothing for those that are prepared but SQL's own `execute`, with parameters as text.
 */
export class PgliteStatements {
  static readonly #all = new WeakMap<object, PgliteStatements>();
  readonly #names = new Map<string, string>();
  /** Another copy of this package may prepare statements in the same database. */
  readonly #prefix = `millrace ${randomBytes(6).toString('hex')}`;
  #count = 0;
  #plannedAt = Number.NEGATIVE_INFINITY;

  /** Those of a database, which several brokers of a process may share. */
  static of(database: object): PgliteStatements {
    let statements = PgliteStatements.#all.get(database);
    if (statements === undefined) {
      statements = new PgliteStatements();
      PgliteStatements.#all.set(database, statements);
    }
    return statements;
  }

  /** @param plansLast whether a plan is good for ever: the broker has set how they are made */
  async run(
    database: Queryable,
    { text }: Statement,
    values: readonly Value[],
    plansLast: boolean,
  ): Promise<readonly Row[]> {
    const parameters = writeParameters(values);
    if (parameters === undefined) return runOnce(database, text, values);
    if (!plansLast) await this.#refreshPlans(database);
    try {
      return await this.#execute(database, text, parameters);
    } catch (error) {
      // Its owner has discarded it, or the schema was made anew: it was not begun.
      if (!isOutdated(error)) throw error;
      await this.forget(database, [text]);
      return this.#execute(database, text, parameters);
    }
  }

  async #execute(database: Queryable, text: string, parameters: string): Promise<readonly Row[]> {
    let name = this.#names.get(text);
    if (name === undefined) {
      this.#count += 1;
      name = `"${this.#prefix} ${this.#count}"`;
      await database.exec(`prepare ${name} as ${text}`);
      this.#names.set(text, name);
    }
    const results = await database.exec(`execute ${name}${parameters}`, options);
    return (results.at(-1)?.rows ?? []) as readonly Row[];
  }

  async #refreshPlans(database: Queryable): Promise<void> {
    const now = performance.now();
    if (now - this.#plannedAt < oldestPlanMs) return;
    this.#plannedAt = now;
    await database.exec('discard plans');
  }

  /** Takes statements out of the database: it keeps them, plans and all, until it is closed. */
  async forget(database: Queryable, texts: Iterable<string>): Promise<void> {
    for (const text of texts) {
      const name = this.#names.get(text);
      if (name === undefined) continue;
      this.#names.delete(text);
      await database.exec(`deallocate ${name}`).catch(() => {});
    }
  }
}

/** Runs a statement that is not worth preparing. */
export async function runOnce(database: Queryable, text: string, values: readonly Value[]): Promise<readonly Row[]> {
  const { rows } = await database.query(text, values as Value[], options);
  return rows as readonly Row[];
}

/** `undefined` when they are better bound. */
function writeParameters(values: readonly Value[]): string | undefined {
  if (values.length === 0) return '';
  let text = '(';
  for (let index = 0; index < values.length; index++) {
    const value = values[index] as Value;
    if (index > 0) text += ',';
    if (typeof value !== 'string') text += value === null ? 'null' : `'${value}'`;
    // A text ends where the statement ends for a server that looks for U+0000; bound, it is refused for what it is.
    else if (value.length > longestText || value.includes('\0')) return undefined;
    else text += quote(value);
    if (text.length > longestText) return undefined;
  }
  return `${text})`;
}

/** Safe whatever it holds, and whatever `standard_conforming_strings` says. */
function quote(value: string): string {
  const quoted = value.includes("'") ? value.replaceAll("'", "''") : value;
  return quoted.includes('\\') ? `E'${quoted.replaceAll('\\', '\\\\')}'` : `'${quoted}'`;
}

/** The server no longer has it, or its result would be another now. */
function isOutdated(error: unknown): boolean {
  const { code } = error as { code?: unknown };
  return code === '26000' || code === '0A000';
}
