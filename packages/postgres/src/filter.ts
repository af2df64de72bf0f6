import { isTerminal, type TaskFilter, ValidationError } from '@millrace/core';
import { checkKnownOptions } from '@millrace/core/adapter';
import { textArray } from './array-literal.ts';
import type { Statement, Value } from './connection.ts';

/** A statement put together for one filter. Not prepared: there are too many shapes. */
export interface FilteredQuery {
  readonly statement: Statement;
  readonly values: readonly Value[];
}

/** Adds the conditions of a filter, and what follows them, to a statement. */
export function filterQuery(statement: Statement, filter: TaskFilter, cursor?: string, limit?: number): FilteredQuery {
  checkKnownOptions(filter, ['ids', 'queues', 'names', 'states', 'owner', 'group', 'key'], 'a task filter');
  const conditions: string[] = [];
  const values: Value[] = [];
  const add = (condition: (parameter: string) => string, value: Value): void => {
    values.push(value);
    conditions.push(condition(`$${values.length}`));
  };
  const among = (column: string, wanted: readonly string[] | undefined): void => {
    if (wanted !== undefined) add((p) => `${column} = any (${p}::text[])`, textArray(wanted.filter(isStorable)));
  };
  const equal = (column: string, wanted: string | undefined): void => {
    if (wanted !== undefined) add((p) => `${column} = ${p}`, isStorable(wanted) ? wanted : null);
  };
  among('id', filter.ids);
  among('queue', filter.queues);
  among('name', filter.names);
  among('state', filter.states);
  // Leaves out the table in which none of these states occurs.
  if (filter.states?.every(isTerminal) === true) conditions.push('ended');
  else if (filter.states?.some(isTerminal) === false) conditions.push('not ended');
  equal('owner', filter.owner);
  equal('group_name', filter.group);
  equal('key', filter.key);
  if (cursor !== undefined) add((p) => `id < ${p}`, readCursor(cursor));
  const where = conditions.length === 0 ? '' : `\nwhere ${conditions.join(' and ')}`;
  let tail = '';
  if (limit !== undefined) {
    values.push(limit);
    tail = `\norder by id desc\nlimit $${values.length}`;
  }
  return { statement: { name: '', text: statement.text + where + tail }, values };
}

/** Whether a text can be in the database at all; what cannot matches nothing. */
export function isStorable(text: unknown): text is string {
  return typeof text === 'string' && !text.includes('\0') && text.isWellFormed();
}

/** The cursor is the last id of a page, in a form nobody takes for one. */
export function writeCursor(id: string): string {
  return Buffer.from(id).toString('base64url');
}

function readCursor(cursor: string): string {
  const id = typeof cursor === 'string' ? Buffer.from(cursor, 'base64url').toString() : '';
  if (id !== '' && isStorable(id) && writeCursor(id) === cursor) return id;
  throw new ValidationError('cursor must be one that a listing returned', { option: 'cursor', op: 'tasks.list' });
}
