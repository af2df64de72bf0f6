import fs from 'node:fs';
import { join } from 'node:path';
import * as core from '@millrace/core';
import type { Wakeups } from '@millrace/core/adapter';
import { capabilities } from './capabilities.ts';
import { takeLock } from './lock.ts';

/** A task as it is kept: whose lease it is, and never `scheduled`, which is a pending task that is not due yet. */
export type Row = core.TaskRecord & { readonly session?: string; readonly begun?: true };
type Changes = { readonly [Field in keyof Row]?: Row[Field] | undefined };

const lost = { kind: 'lost', name: 'LeaseLostError', message: 'the session that ran it has ended' } as const;
const expired = { kind: 'expired', name: 'ExpiredError', message: 'it was not started in time' } as const;
const stores = new Map<string, Store>();

/** The tasks of a directory, shared by all its clients: in memory, and in a journal with a line for each step. */
export class Store {
  /** In the order of enqueueing. */
  readonly rows = new Map<string, Row>();
  /** When they lapse, by `clock.monotonic()`, and what stops the holder. None outlives the process. */
  readonly sessions = new Map<string, { until: number; readonly lose: (why: string) => void }>();
  readonly #clients = new Set<Wakeups>();
  readonly #unlock: () => void;
  readonly #file: number;
  /** Tasks as they are from now on, and ids of those that are gone. */
  readonly #unwritten: (Row | string)[] = [];
  #broken = false;

  static open(directory: string, client: Wakeups): Store {
    let unlock = (): void => {};
    try {
      fs.mkdirSync(directory, { recursive: true });
      const path = fs.realpathSync(directory);
      let store = stores.get(path);
      if (store === undefined) {
        unlock = takeLock(join(path, 'lock'));
        store = new Store(path, unlock);
        stores.set(path, store);
      }
      store.#clients.add(client);
      return store;
    } catch (cause) {
      unlock();
      throw new core.ConfigurationError(`cannot open ${directory}: ${cause}`, { adapter: 'file', op: 'open', cause });
    }
  }

  static close(client: Wakeups): void {
    for (const [path, store] of stores) {
      if (!store.#clients.delete(client) || store.#clients.size > 0) continue;
      stores.delete(path);
      fs.closeSync(store.#file);
      store.#unlock();
    }
  }

  private constructor(path: string, unlock: () => void) {
    this.#unlock = unlock;
    const journal = join(path, 'journal.jsonl');
    // As bytes: a file may be longer than a string. What has no line break at its end was never said to be written.
    const bytes = fs.existsSync(journal) ? fs.readFileSync(journal) : Buffer.of();
    for (let start = 0, end = bytes.indexOf(10); end >= 0; start = end + 1, end = bytes.indexOf(10, start)) {
      for (const entry of JSON.parse(bytes.toString('utf8', start, end)) as (Row | string)[]) {
        if (typeof entry === 'string') this.rows.delete(entry);
        // JSON has no infinity and made it null.
        else this.rows.set(entry.id, { ...entry, maxAttempts: entry.maxAttempts ?? Number.POSITIVE_INFINITY });
      }
    }
    this.#file = fs.openSync(`${journal}.next`, 'w');
    for (const row of this.rows.values()) fs.appendFileSync(this.#file, `${JSON.stringify([row])}\n`);
    fs.fsyncSync(this.#file);
    fs.renameSync(`${journal}.next`, journal);
    const folder = fs.openSync(path, 'r');
    fs.fsyncSync(folder);
    fs.closeSync(folder);
  }

  /** Runs a step; what it changed is on the disk when this returns. @throws UnavailableError IndeterminateError */
  step<T>(op: string, clock: core.Clock, body: (store: Store, now: number) => T): T {
    if (this.#broken) throw new core.UnavailableError('the journal failed: close all clients', { adapter: 'file', op });
    const result = body(this, clock.now());
    if (this.#unwritten.length === 0) return result;
    try {
      fs.appendFileSync(this.#file, `${JSON.stringify(this.#unwritten.splice(0))}\n`);
      fs.fsyncSync(this.#file);
      return result;
    } catch (cause) {
      this.#broken = true;
      throw new core.IndeterminateError('the journal could not be written', { adapter: 'file', op, cause });
    }
  }

  find(test: (row: Row) => boolean, limit?: number): Row[] {
    return [...this.rows.values()].filter(test).slice(0, limit);
  }

  save(row: Row, changes: Changes): Row {
    // What is undefined has to be absent: records are the same on every broker.
    const defined = Object.entries({ ...row, ...changes }).filter(([, value]) => value !== undefined);
    const next = Object.fromEntries<unknown>(defined) as unknown as Row;
    this.rows.set(next.id, next);
    this.#unwritten.push(next);
    if (next.state !== 'running') for (const client of this.#clients) client.wake(next.queue);
    return next;
  }

  /** Takes a task out of its holder's hands, or out of the line. */
  move(row: Row, to: core.TaskState, now: number, changes: Changes = {}, failure?: core.TaskFailure): void {
    const error = failure && { ...failure, attempt: row.attempt, at: now };
    const errors = (error ? [...row.errors, error] : row.errors).slice(-core.taskListLimits.errors);
    const state = to === 'scheduled' ? 'pending' : to;
    const ended = core.isTerminal(to) && { finishedAt: now };
    const failed = to === 'failed' && { failure: failure?.kind };
    this.save(row, { ...changes, ...ended, ...failed, errors, state, session: undefined, begun: undefined });
  }

  /** Takes back tasks whose session fell silent or ended with its process, ends late ones, removes old ones. */
  maintain(clock: core.Clock, limit?: number, now = clock.now()): core.MaintenanceReport {
    const lapsed = [...this.sessions].filter(([, { until }]) => until <= clock.monotonic());
    for (const [id, { lose }] of lapsed) if (this.sessions.delete(id)) lose('it was silent for too long');
    const orphans = this.find(({ session }) => session !== undefined && !this.sessions.has(session), limit);
    for (const row of orphans) {
      const last = row.attempt >= row.maxAttempts;
      // Claimed ahead and never run: that does not count.
      if (last && row.begun !== true) this.move(row, 'pending', now, { attempt: row.attempt - 1 });
      else if (last) this.move(row, 'failed', now, {}, lost);
      else this.move(row, 'retrying', now, { runAt: now }, lost);
    }
    const mayExpire = ({ state }: Row): boolean => core.transition(state, 'expire') !== undefined;
    const late = this.find((row) => row.expiresAt !== undefined && row.expiresAt <= now && mayExpire(row), limit);
    for (const row of late) this.move(row, 'failed', now, {}, expired);
    const keptMs = capabilities.retention.failedMs ?? Number.POSITIVE_INFINITY;
    const old = this.find(({ finishedAt = now }) => finishedAt + keptMs <= now, limit);
    for (const { id } of old) if (this.rows.delete(id)) this.#unwritten.push(id);
    const more = [orphans, late, old].some((rows) => rows.length === limit);
    return { reclaimed: orphans.length, expired: late.length, pruned: old.length, more };
  }
}

/** A copy of what callers may see. */
export function recordOf(row: Row, now: number): core.TaskRecord {
  const { session, begun, ...record } = row;
  return structuredClone(row.state === 'pending' && row.runAt > now ? { ...record, state: 'scheduled' } : record);
}

/** A copy of what workers need. */
export function deliveryOf(row: Row): core.Delivery {
  const { id: taskId, attempt, fence, session: sessionId = '', begun, state, errors, log, progress, ...rest } = row;
  const { output, startedAt, finishedAt, worker, failure, requested, expiresAt, ...fields } = rest;
  return { ...structuredClone(fields), lease: { taskId, attempt, fence, sessionId } };
}
