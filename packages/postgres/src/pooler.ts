import type { ClientBase } from 'pg';

/** How often a client has to find the same process before we believe that it always will. */
const rounds = 3;

/**
 * Whether a pooler leaves `client` the server process it has once had. One that does not gives that process to `rival`,
 * or `client` another, whatever its order of idle processes is.
 *
 * Not found out by listening, which would leave a trace: a listener stays with the process. What it is told goes to
 * whoever has that process by then, and PgBouncer (measured: 1.18, 1.24) takes it for the answer to the query by which it
 * tests idle processes; from then on, each client of that process is given the answer meant for the one before.
 */
export async function keepsProcess(client: ClientBase, rival: ClientBase): Promise<boolean> {
  const mine = await processOf(client);
  for (let round = 0; round < rounds; round++) {
    await rival.query('begin');
    const theirs = await processOf(rival);
    const meanwhile = await processOf(client);
    await rival.query('commit');
    const theirNext = await processOf(rival);
    if (meanwhile !== mine || theirs === mine || theirNext === mine) return false;
  }
  return true;
}

async function processOf(client: ClientBase): Promise<number> {
  const { rows } = await client.query('select pg_backend_pid() as id');
  return Number(rows[0]?.id);
}
