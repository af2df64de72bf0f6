import { ConfigurationError } from '@millrace/core';
import type { CustomTypesConfig } from 'pg';

const numberTypes: ReadonlySet<number> = new Set([20, 21, 23, 26, 700, 701]);
/** Numbers and booleans as such, everything else as the server's text: dates and arrays are never parsed. */
export const types: CustomTypesConfig = {
  getTypeParser: ((oid: number) => {
    if (numberTypes.has(oid)) return Number;
    return oid === 16 ? (text: string) => text === 't' : (text: string) => text;
  }) as CustomTypesConfig['getTypeParser'],
};

/**
 * A prepared statement's plan is made once and must stay good when the tables grow a thousandfold: only indexes, no
 * compilation. Locks and statements end on the server as they do here, so that what was given up does not happen later.
 */
export function sessionSettings(operationTimeoutMs: number): string {
  return [
    '-c enable_seqscan=off -c enable_bitmapscan=off -c jit=off -c plan_cache_mode=force_generic_plan',
    `-c statement_timeout=${operationTimeoutMs} -c lock_timeout=${Math.ceil(operationTimeoutMs / 2)}`,
    `-c idle_in_transaction_session_timeout=${operationTimeoutMs * 2}`,
  ].join(' ');
}

/** @throws ConfigurationError when it is not installed */
export async function importDriver(): Promise<typeof import('pg').default> {
  try {
    const { default: pg } = await import('pg');
    return pg;
  } catch (cause) {
    throw new ConfigurationError("postgresBroker needs the package 'pg'; run: npm install pg", {
      op: 'open',
      adapter: 'postgres',
      reason: 'missing-package',
      cause,
    });
  }
}
