import type { ClaimRequest, ClaimVerdict, Delivery } from '@millrace/core';
import type { CallOptions, RedisConnection } from './connection.ts';
import type { JointCalls } from './joint-calls.ts';
import type { Keys } from './keys.ts';
import { generatedIdLength, hasCheckpoint, readDelivery, readFirstDelivery } from './stored-task.ts';

/** Who claims. */
export interface Claimant {
  readonly connection: RedisConnection;
  readonly joint: JointCalls;
  readonly keys: Keys;
  readonly sessionId: string;
  readonly ttlMs: number;
  /** Instance, zero byte, host. */
  readonly worker: string;
  /** Where it may be given a task while it sleeps; empty: nowhere. */
  readonly listener: string;
}

/** What a look at queues brought. */
export interface Claimed {
  readonly deliveries: readonly Delivery[];
  /** Milliseconds until something may be due without anybody saying so. */
  readonly inMs: number | undefined;
}

/** What one queue is asked for. */
export interface QueueClaim {
  readonly queue: string;
  /** Whether the session may be new there. */
  readonly joins: boolean;
  readonly names: readonly string[];
  readonly limit: number;
  readonly lowestPriority: number;
  /** How long the caller will sleep if there is nothing; the queue then tells of work. */
  readonly sleepMs: number;
}

const call: CallOptions = { op: 'session.claim' };
const afterFence = 13;

/** Takes tasks of one queue, without waiting. `lost` when the session is over there. */
export async function claimFromQueue(claimant: Claimant, claim: QueueClaim): Promise<Claimed | 'lost'> {
  const { joint, keys, sessionId, ttlMs, worker, listener } = claimant;
  const { queue, joins, names, limit, lowestPriority, sleepMs } = claim;
  const args = [
    ...[sessionId, String(ttlMs), joins ? '1' : '0', worker, String(limit), String(lowestPriority)],
    ...[String(sleepMs), listener, ...names],
  ];
  const reply = (await joint.claim(keys.queue(queue), args, limit, call)) as (string | number)[];
  if (reply[0] === 'lost') return 'lost';
  const claimed = { deliveries: readClaimed(reply, queue, sessionId), inMs: spanOf(reply[0]) };
  // Answers stay in memory until the next full collection, nine of ten in a backlog. What they lead to need not.
  reply.length = 0;
  return claimed;
}

/** Most are on their first attempt and were due when created: of those there is the content only, an id, and one fence. */
function readClaimed(reply: readonly (string | number)[], queue: string, sessionId: string): Delivery[] {
  const fence = reply[1] as number;
  const takeId = idReader(reply[2] as string);
  const deliveries: Delivery[] = [];
  for (let at = 3; at < reply.length; ) {
    const text = reply[at] as string;
    if (text.charCodeAt(0) === 0) {
      const lease = text.slice(1);
      const parts = partsOf(lease);
      deliveries.push(readDeliveryAt([lease, ...reply.slice(at + 1, at + parts)], 0, queue, sessionId));
      at += parts;
    } else {
      const lease = { taskId: takeId(), attempt: 1, fence, sessionId };
      deliveries.push(readFirstDelivery(lease, text, queue));
      at += 1;
    }
  }
  return deliveries;
}

/** Reads what give.lua writes of a task, after the session. */
export function readGiven(text: string, queue: string, sessionId: string): Delivery {
  const afterId = afterFence + generatedIdLength;
  const fence = Number(text.slice(0, afterFence));
  const lease = { taskId: text.slice(afterFence, afterId), attempt: 1, fence, sessionId };
  return readFirstDelivery(lease, text.slice(afterId), queue);
}

/** Gives one id after the other out of a text of ids of equal size, in bytes: somebody's own may be as long as ours. */
function idReader(ids: string): () => string {
  let at = -generatedIdLength;
  const bytes = Buffer.byteLength(ids) === ids.length ? undefined : Buffer.from(ids);
  return () => {
    at += generatedIdLength;
    return bytes === undefined
      ? ids.slice(at, at + generatedIdLength)
      : bytes.toString('utf8', at, at + generatedIdLength);
  };
}

/** What a queue says of a task asked for by its id. */
export type IdAnswer =
  | ClaimVerdict
  /** The session runs it already, as far as the server knows. */
  | { readonly status: 'ours' }
  /** Other queues may have it. */
  | { readonly status: 'elsewhere' };

/** Which tasks one queue is asked for. */
export interface IdClaim {
  readonly queue: string;
  /** Whether the session may be new there. */
  readonly joins: boolean;
  readonly ids: readonly string[];
}

const statusLetters: Readonly<Record<string, Exclude<IdAnswer['status'], 'claimed' | 'early'>>> = {
  '': 'elsewhere',
  o: 'ours',
  h: 'held',
  z: 'paused',
  q: 'queue-paused',
  e: 'ended',
};

/**
 * Takes these tasks of one queue, as far as they are to be had. Those without an answer have to be asked for again: they
 * are large. `lost` when the session is over there.
 */
export async function claimByIds(
  { connection, keys, sessionId, ttlMs, worker }: Claimant,
  { queue, joins, ids }: IdClaim,
  timeoutMs: number,
): Promise<ReadonlyMap<string, IdAnswer> | 'lost'> {
  const args = [sessionId, String(ttlMs), joins ? '1' : '0', worker, ...ids];
  const options = { op: 'session.claimTasks', timeoutMs };
  const reply = (await connection.run('claimTheseTasks', keys.queue(queue), args, options)) as string[];
  if (reply[0] === 'lost') return 'lost';
  const answers = new Map<string, IdAnswer>();
  let at = 0;
  for (const id of ids) {
    const text = reply[at] as string;
    const letter = text.slice(0, 1);
    if (letter === 'c') {
      const parts = [text.slice(1), ...reply.slice(at + 1, at + 3)];
      const delivery = readDeliveryAt(parts, 0, queue, sessionId);
      answers.set(id, { status: 'claimed', delivery });
      at += partsOf(parts[0] as string);
      continue;
    }
    at += 1;
    const status = statusLetters[letter];
    if (letter === 'w') answers.set(id, { status: 'early', dueInMs: Number(text.slice(1)) });
    else if (status !== undefined) answers.set(id, { status });
  }
  return answers;
}

/** What a session holds in a queue beyond what it knows of. */
export async function findStrays(
  { connection, keys, sessionId }: Claimant,
  queue: string,
  known: readonly string[],
): Promise<readonly Delivery[]> {
  const args = [sessionId, ...known];
  const reply = await connection.run('readHeld', keys.queue(queue), args, { op: 'session.claim', writes: false });
  return readDeliveries(reply as string[], 0, queue, sessionId);
}

function readDeliveries(
  reply: readonly (string | number)[],
  from: number,
  queue: string,
  sessionId: string,
): Delivery[] {
  const deliveries: Delivery[] = [];
  for (let at = from; at < reply.length; at += partsOf(reply[at] as string)) {
    deliveries.push(readDeliveryAt(reply, at, queue, sessionId));
  }
  return deliveries;
}

function readDeliveryAt(reply: readonly (string | number)[], at: number, queue: string, sessionId: string): Delivery {
  const lease = reply[at] as string;
  const checkpoint = hasCheckpoint(lease) ? (reply[at + 2] as string) : undefined;
  return readDelivery(lease, reply[at + 1] as string, checkpoint, queue, sessionId);
}

/** How many texts a delivery takes, given its first. */
function partsOf(lease: string): number {
  return hasCheckpoint(lease) ? 3 : 2;
}

/** What a queue has for a claim of several. */
export interface QueueLook {
  readonly queue: string;
  /** Highest priority that is due, -1 for nothing. */
  readonly best: number;
  readonly inMs: number | undefined;
}

/** Looks where there is work, without taking any. */
export async function lookInQueue(
  { connection, keys }: Claimant,
  queue: string,
  names: readonly string[],
  sleepMs: number,
): Promise<QueueLook> {
  const args = [String(sleepMs), ...names];
  // It promotes what is due, which may happen any number of times.
  const look = { op: 'session.claim', writes: false };
  const [best, inMs] = (await connection.run('lookForWork', keys.queue(queue), args, look)) as [number, number];
  return { queue, best, inMs: spanOf(inMs) };
}

/**
 * How much to take from which queue: from those with the highest priority, by turns, and no further down than where
 * another one is better.
 */
export function planClaims(
  looks: readonly QueueLook[],
  request: Pick<ClaimRequest, 'limit'>,
  servedAt: (queue: string) => number,
): readonly Pick<QueueClaim, 'queue' | 'limit' | 'lowestPriority'>[] {
  const filled = looks.filter(({ best }) => best >= 0);
  const top = Math.max(...filled.map(({ best }) => best));
  const inTurn = filled
    .filter(({ best }) => best === top)
    .sort((first, second) => servedAt(first.queue) - servedAt(second.queue));
  // With one queue at the top, it may be taken from down to the best of the others.
  const next = Math.max(0, ...filled.filter(({ best }) => best < top).map(({ best }) => best));
  const lowestPriority = inTurn.length === 1 ? Math.min(next, top) : top;
  const share = Math.ceil(request.limit / inTurn.length);
  const plans: Pick<QueueClaim, 'queue' | 'limit' | 'lowestPriority'>[] = [];
  for (let left = request.limit; left > 0 && plans.length < inTurn.length; ) {
    const { queue } = inTurn[plans.length] as QueueLook;
    const limit = Math.min(share, left);
    plans.push({ queue, limit, lowestPriority });
    left -= limit;
  }
  return plans;
}

function spanOf(reply: unknown): number | undefined {
  return typeof reply === 'number' && reply >= 0 ? reply : undefined;
}
