import assert from 'node:assert/strict';
import { inspect } from 'node:util';
import { type ErrorCode, isMillraceError, type MillraceError } from '@millrace/core';

/** How one part of a table test ended. */
export interface Cell {
  readonly label: string;
  readonly status: 'pass' | 'fail' | 'not-observable';
  readonly why?: string;
}

/** Assertions that count themselves: a scenario that asserted nothing is an error, not a pass. */
export class Checks {
  #assertions = 0;
  readonly #cells: Cell[] = [];

  /** Assertions made so far. */
  get assertions(): number {
    return this.#assertions;
  }

  /** Parts of the table test run so far. */
  get cells(): readonly Cell[] {
    return this.#cells;
  }

  /** Deep, strict equality. */
  equal(actual: unknown, expected: unknown, what: string): void {
    this.#assertions += 1;
    assert.deepStrictEqual(actual, expected, describeDifference(actual, expected, what));
  }

  ok(value: boolean, what: string): void {
    this.#assertions += 1;
    if (!value) assert.fail(what);
  }

  /** The value, which must be there. */
  defined<T>(value: T | undefined | null, what: string): T {
    this.#assertions += 1;
    if (value === undefined || value === null) assert.fail(`${what} is missing`);
    return value;
  }

  between(actual: number | undefined, lowest: number, highest: number, what: string): void {
    const inside = actual !== undefined && actual >= lowest && actual <= highest;
    this.ok(inside, `${what} is ${actual}; expected ${lowest} to ${highest}`);
  }

  /** The call must be refused with this code, and reason if given. Returns the error for further looks. */
  async refuses(
    call: () => Promise<unknown>,
    expected: ErrorCode | { readonly code: ErrorCode; readonly reason?: string; readonly option?: string },
    what: string,
  ): Promise<MillraceError> {
    const { code, reason, option } = typeof expected === 'string' ? { code: expected } : expected;
    this.#assertions += 1;
    let answer: unknown;
    try {
      answer = await call();
    } catch (error) {
      if (!isMillraceError(error)) assert.fail(`${what} must be refused with ${code}; it threw ${shown(error)}`);
      assert.equal(error.code, code, `${what} must be refused with ${code}; it threw ${shown(error)}`);
      if (reason !== undefined) assert.equal(error.reason, reason, `${what}: reason of the ${code}`);
      if (option !== undefined) assert.equal(error.option, option, `${what}: option the ${code} names`);
      return error;
    }
    assert.fail(`${what} must be refused with ${code}; it resolved to ${shown(answer)}`);
  }

  /** One part of a table test. Its failure is noted, and the others still run; the scenario fails at its end. */
  async cell(label: string, body: () => Promise<void>): Promise<void> {
    try {
      await body();
      this.#cells.push({ label, status: 'pass' });
    } catch (error) {
      this.#cells.push({ label, status: 'fail', why: error instanceof Error ? error.message : shown(error) });
    }
  }

  /** A part of a table test that this broker gives no way to look at. Reported, never counted as passed. */
  notObservable(label: string, why: string): void {
    this.#cells.push({ label, status: 'not-observable', why });
  }

  /** Fails when a part of the table test failed. */
  requireCells(): void {
    const failed = this.#cells.filter((cell) => cell.status === 'fail');
    if (failed.length === 0) return;
    const lines = failed.map((cell) => `  ${cell.label}: ${cell.why}`);
    assert.fail(`${failed.length} of ${this.#cells.length} cells failed\n${lines.join('\n')}`);
  }
}

/** A value in one line of a message. */
export function shown(value: unknown): string {
  if (value instanceof Error)
    return isMillraceError(value) ? `${value.code} (${value.message})` : `${value.name}: ${value.message}`;
  return inspect(value, {
    depth: 6,
    breakLength: Number.POSITIVE_INFINITY,
    maxArrayLength: 20,
    maxStringLength: 200,
  }).slice(0, 800);
}

function describeDifference(actual: unknown, expected: unknown, what: string): string {
  return `${what} is ${shown(actual)}; expected ${shown(expected)}`;
}
