import type {
  FailureKind,
  KeyUntil,
  NewTask,
  Payload,
  StopRequest,
  TaskError,
  TaskHeaders,
  TaskLogLine,
  TaskState,
} from '@millrace/core';
import type { StoredSession } from './stored-session.ts';
import type { OpenTransaction } from './transaction.ts';

/** What the caller gives a task when it is enqueued, and anew when it is replaced by its unique key. */
export interface TaskContent {
  name: string;
  input: Payload | undefined;
  headers: TaskHeaders;
  priority: number;
  maxAttempts: number;
  runAt: number;
  expiresAt: number | undefined;
  timeoutMs: number | undefined;
  key: string | undefined;
  keyUntil: KeyUntil;
  group: string | undefined;
  owner: string | undefined;
  version: number;
}

/** A task as the store keeps it. It never leaves the store: callers get copies. */
export interface StoredTask extends TaskContent {
  readonly id: string;
  /** Position in the order of creation: breaks ties of equal due times, and is what listings page by. */
  readonly sequence: number;
  readonly queue: string;
  readonly createdAt: number;
  /** `scheduled` is not stored, it follows from `runAt`: see `stateOf`. */
  state: Exclude<TaskState, 'scheduled'>;
  attempt: number;
  fence: number;
  /** Whether `key` is taken by this task right now. */
  keyHeld: boolean;
  checkpoint: Payload | undefined;
  progress: Payload | undefined;
  output: Payload | undefined;
  errors: readonly TaskError[];
  log: readonly TaskLogLine[];
  startedAt: number | undefined;
  finishedAt: number | undefined;
  worker: string | undefined;
  failure: FailureKind | undefined;
  requested: StopRequest | undefined;
  /** The session that runs it. */
  holder: StoredSession | undefined;
  /** Whether the holder reported that the handler is about to start. */
  begun: boolean;
  /** Not there for anybody else until this transaction commits. */
  pendingIn: OpenTransaction | undefined;
  /** Not claimed while this transaction is about to replace its content. */
  lockedBy: OpenTransaction | undefined;
}

/** The content of a new task; spans become instants of the store's clock. */
export function contentOf(task: NewTask, now: number): TaskContent {
  return {
    name: task.name,
    input: task.input,
    headers: { ...task.headers },
    priority: task.priority,
    maxAttempts: task.maxAttempts,
    runAt: task.runAt ?? now + task.delayMs,
    expiresAt: task.expiresAt ?? (task.expiresInMs === undefined ? undefined : now + task.expiresInMs),
    timeoutMs: task.timeoutMs,
    key: task.key,
    keyUntil: task.keyUntil ?? 'settled',
    group: task.group,
    owner: task.owner,
    version: task.version,
  };
}

/** A task nobody has run yet. */
export function createTask(task: NewTask, sequence: number, now: number): StoredTask {
  const unstarted: Omit<StoredTask, keyof TaskContent> = {
    id: task.id,
    sequence,
    queue: task.queue,
    createdAt: now,
    state: 'pending',
    attempt: 0,
    fence: 0,
    keyHeld: task.key !== undefined,
    checkpoint: undefined,
    progress: undefined,
    output: undefined,
    errors: [],
    log: [],
    startedAt: undefined,
    finishedAt: undefined,
    worker: undefined,
    failure: undefined,
    requested: undefined,
    holder: undefined,
    begun: false,
    pendingIn: undefined,
    lockedBy: undefined,
  };
  // Not a spread: V8 makes a slow dictionary of an object this wide, which costs 50 times as much (Node 20).
  return Object.assign(unstarted, contentOf(task, now));
}

/** The state everybody sees: a pending task whose due time is still ahead is scheduled. */
export function stateOf(task: StoredTask, now: number): TaskState {
  return task.state === 'pending' && task.runAt > now ? 'scheduled' : task.state;
}

/** Whether it must not be started any more. */
export function isExpired(task: StoredTask, now: number): boolean {
  return task.expiresAt !== undefined && task.expiresAt <= now;
}
