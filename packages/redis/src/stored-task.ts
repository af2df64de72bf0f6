import type {
  Delivery,
  FailureKind,
  Lease,
  NewTask,
  StopRequest,
  TaskError,
  TaskHeaders,
  TaskLogLine,
  TaskRecord,
  TaskState,
} from '@millrace/core';

// Positions in what lua/record.lua describes, counted from 0. Everything before the names is ASCII, so that they hold
// for characters as well as for bytes.
const afterHead = 29;
const afterTimes = 63;
const separator = '\0';
/** Characters, and bytes, of an id that was generated. */
export const generatedIdLength = 36;

/** Letters of states; `p` is `scheduled` while its due time is ahead. */
const stateLetters: Readonly<Record<string, TaskState>> = {
  p: 'pending',
  t: 'retrying',
  r: 'running',
  z: 'paused',
  s: 'succeeded',
  f: 'failed',
  c: 'cancelled',
};
/** Letters that a filter by state asks for; `d` is delayed. */
export const lettersOfStates: Readonly<Partial<Record<TaskState, string>>> = {
  scheduled: 'd',
  pending: 'p',
  retrying: 't',
  running: 'r',
  paused: 'z',
  succeeded: 's',
  failed: 'f',
  cancelled: 'c',
};
export const lettersOfFailures: Readonly<Record<FailureKind, string>> = {
  error: 'e',
  timeout: 't',
  lost: 'l',
  expired: 'x',
  invalid: 'i',
  unregistered: 'u',
};
const failureLetters = Object.fromEntries(
  Object.entries(lettersOfFailures).map(([kind, letter]) => [letter, kind as FailureKind]),
);
const requestLetters: Readonly<Record<string, StopRequest>> = { c: 'cancel', p: 'pause', r: 'remove' };

/** The request a letter stands for. */
export function requestOf(letter: string): StopRequest {
  return requestLetters[letter] ?? 'cancel';
}

/** A new task as enqueue-tasks.lua takes it: its content without what only the server knows. */
export function writeContent(task: NewTask): string {
  const { key, group = '', owner = '', maxAttempts, input } = task;
  const taken = key === undefined ? '-' : task.keyUntil === 'started' ? 's' : 'e';
  const head = `${task.priority}n${taken}${input === undefined ? 0 : 1}`;
  const most = maxAttempts === Number.POSITIVE_INFINITY ? '' : String(maxAttempts);
  return `${head}${task.name}\0${key ?? ''}\0${group}\0${owner}\0${most}\0${writeRest(task)}\0${input ?? ''}`;
}

/** Version, timeout, headers: what no script looks at. */
function writeRest({ version, timeoutMs, headers }: NewTask): string {
  for (const _name in headers) return JSON.stringify([version, timeoutMs ?? 0, headers]);
  return timeoutMs === undefined ? `[${version}]` : `[${version},${timeoutMs}]`;
}

interface Content {
  readonly createdAt: number;
  readonly dueAt: number;
  readonly expiresAt: number | undefined;
  readonly priority: number;
  readonly name: string;
  readonly key: string;
  readonly group: string;
  readonly owner: string;
  readonly maxAttempts: number;
  readonly rest: Rest;
  readonly input: string | undefined;
}

interface Rest {
  readonly version: number;
  readonly timeoutMs: number | undefined;
  readonly headers: TaskHeaders | undefined;
}

function readContent(text: string): Content {
  const timed = text.charCodeAt(26) === 116;
  const createdAt = Number(text.slice(12, 25));
  const nameAt = timed ? afterTimes : afterHead;
  const keyAt = text.indexOf(separator, nameAt) + 1;
  const groupAt = text.indexOf(separator, keyAt) + 1;
  const ownerAt = text.indexOf(separator, groupAt) + 1;
  const mostAt = text.indexOf(separator, ownerAt) + 1;
  const restAt = text.indexOf(separator, mostAt) + 1;
  const inputAt = text.indexOf(separator, restAt) + 1;
  const most = text.slice(mostAt, restAt - 1);
  return {
    createdAt,
    dueAt: timed ? Number(text.slice(29, 46)) : createdAt,
    expiresAt: timed && text[47] !== '-' ? Number(text.slice(46, 63)) : undefined,
    priority: text.charCodeAt(25) - 48,
    name: text.slice(nameAt, keyAt - 1),
    key: text.slice(keyAt, groupAt - 1),
    group: text.slice(groupAt, ownerAt - 1),
    owner: text.slice(ownerAt, mostAt - 1),
    maxAttempts: most === '' ? Number.POSITIVE_INFINITY : Number(most),
    rest: readRest(text.slice(restAt, inputAt - 1)),
    input: text[28] === '1' ? text.slice(inputAt) : undefined,
  };
}

let lastRestText = '';
let lastRest: Rest = { version: 0, timeoutMs: undefined, headers: undefined };

/** Tasks of a kind mostly have the same, so the last one is remembered. */
function readRest(text: string): Rest {
  if (text === lastRestText) return lastRest;
  const [version, timeoutMs, headers] = JSON.parse(text) as [number, number?, TaskHeaders?];
  lastRest = { version, timeoutMs: timeoutMs === 0 ? undefined : timeoutMs, headers };
  lastRestText = text;
  return lastRest;
}

type Mutable<T> = { -readonly [K in keyof T]: T[K] };

/** Whether the first text of a delivery says that a checkpoint follows its content. */
export function hasCheckpoint(lease: string): boolean {
  return lease[40] === '1';
}

/** Reads what a script gives of one task. */
export function readDelivery(
  text: string,
  content: string,
  checkpoint: string | undefined,
  queue: string,
  sessionId: string,
): Delivery {
  const attempt = Number(text.slice(0, 10));
  const lease = { taskId: text.slice(41), attempt, fence: Number(text.slice(10, 23)), sessionId };
  const delivery = readFirstDelivery(lease, content, queue);
  delivery.runAt = Number(text.slice(23, 40));
  if (checkpoint !== undefined) delivery.checkpoint = checkpoint;
  return delivery;
}

/** Reads what a script gives of a task that was due when it was created, and runs for the first time. */
export function readFirstDelivery(lease: Lease, content: string, queue: string): Mutable<Delivery> {
  const { rest, ...task } = readContent(content);
  const delivery: Mutable<Delivery> = {
    lease,
    name: task.name,
    queue,
    headers: { ...rest.headers },
    priority: task.priority,
    maxAttempts: task.maxAttempts,
    version: rest.version,
    createdAt: task.createdAt,
    runAt: task.createdAt,
  };
  if (task.input !== undefined) delivery.input = task.input;
  if (rest.timeoutMs !== undefined) delivery.timeoutMs = rest.timeoutMs;
  if (task.key !== '') delivery.key = task.key;
  if (task.group !== '') delivery.group = task.group;
  if (task.owner !== '') delivery.owner = task.owner;
  return delivery;
}

/** Reads what read-tasks.lua gives of one task. */
export function readRecord(id: string, queue: string, parts: readonly string[], now: number): TaskRecord {
  const [contentText = '', run = '', output, progress, checkpoint, errors, log] = parts;
  const { rest, ...task } = readContent(contentText);
  const hasRun = run !== '';
  const runAt = hasRun ? Number(run.slice(43, 60)) : task.dueAt;
  const stored = stateLetters[hasRun ? (run[0] as string) : 'p'] as TaskState;
  const optional: Partial<Mutable<TaskRecord>> = {
    input: task.input,
    expiresAt: task.expiresAt,
    timeoutMs: rest.timeoutMs,
    key: task.key || undefined,
    group: task.group || undefined,
    owner: task.owner || undefined,
    checkpoint: present(checkpoint),
    progress: present(progress),
    output: present(output),
    ...(hasRun && readRunFields(run)),
  } as Partial<Mutable<TaskRecord>>;
  return {
    id,
    name: task.name,
    queue,
    state: stored === 'pending' && runAt > now ? 'scheduled' : stored,
    headers: { ...rest.headers },
    priority: task.priority,
    attempt: hasRun ? Number(run.slice(4, 14)) : 0,
    maxAttempts: task.maxAttempts,
    fence: hasRun ? Number(run.slice(14, 27)) : 0,
    runAt,
    errors: readLines<TaskError>(present(errors)),
    log: readLines<TaskLogLine>(present(log)),
    createdAt: task.createdAt,
    version: rest.version,
    ...withoutAbsent(optional),
  };
}

function readRunFields(run: string): Record<string, unknown> {
  const worker = run.slice(92);
  return {
    startedAt: readTime(run.slice(60, 73)),
    finishedAt: readTime(run.slice(73, 86)),
    failure: failureLetters[run[86] as string],
    worker: worker === '' ? undefined : worker.replace(separator, '@'),
    requested: run[1] === '-' ? undefined : requestOf(run[1] as string),
  };
}

function readTime(text: string): number | undefined {
  return text.startsWith('-') ? undefined : Number(text);
}

/** Texts that may be absent have a leading character when they are there. */
function present(text: string | undefined): string | undefined {
  return text === undefined || text === '' ? undefined : text.slice(1);
}

function readLines<T>(text: string | undefined): readonly T[] {
  return text === undefined || text === '' ? [] : text.split('\n').map((line) => JSON.parse(line) as T);
}

function withoutAbsent<T extends object>(fields: T): T {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined)) as T;
}
