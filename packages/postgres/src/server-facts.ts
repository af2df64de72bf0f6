import { ConfigurationError, UnavailableError } from '@millrace/core';
import type { Row, ServerFacts } from './connection.ts';

/** Reads the row of server-facts.sql. @throws ConfigurationError when the server will not do */
export function readServerFacts(
  row: Row | undefined,
  adapter: string,
): { readonly facts: Omit<ServerFacts, 'pooling' | 'exclusive'>; readonly processId: number } {
  const [version, encoding, fsync, synchronousCommit, standbys, processId, standby] = row ?? [];
  const where = { op: 'open', adapter };
  if (Number(version) < 120_000) {
    throw new ConfigurationError(`open: the server is older than PostgreSQL 12 (server_version_num ${version})`, {
      ...where,
      reason: 'server-too-old',
    });
  }
  if (encoding !== 'UTF8') {
    throw new ConfigurationError(`open: the database has the encoding ${encoding}; it must be UTF8`, {
      ...where,
      reason: 'encoding',
    });
  }
  if (standby === true) {
    throw new UnavailableError('open: the server is a standby, which takes no writes', {
      ...where,
      reason: 'read-only',
    });
  }
  const durable = fsync === 'on' && synchronousCommit !== 'off';
  const replicated = durable && synchronousCommit !== 'local' && standbys !== '';
  const durability = replicated ? 'replicated' : durable ? 'node' : 'none';
  return { facts: { version: Number(version), durability }, processId: Number(processId) };
}
