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
  readonly fields: Fields;
  readonly input: string | undefined;
}

/** What tasks of a kind mostly share. */
interface Fields {
  readonly name: string;
  readonly key: string | undefined;
  readonly group: string | undefined;
  readonly owner: string | undefined;
  readonly maxAttempts: number;
  readonly version: number;
  readonly timeoutMs: number | undefined;
  readonly headers: TaskHeaders | undefined;
  /** Characters they take. */
  readonly length: number;
}

function readContent(text: string): Content {
  const timed = text.charCodeAt(26) === 116;
  const createdAt = Number(text.slice(12, 25));
  const nameAt = timed ? afterTimes : afterHead;
  const fields = readFields(text, nameAt);
  return {
    createdAt,
    dueAt: timed ? Number(text.slice(29, 46)) : createdAt,
    expiresAt: timed && text[47] !== '-' ? Number(text.slice(46, 63)) : undefined,
    priority: text.charCodeAt(25) - 48,
    fields,
    input: text[28] === '1' ? text.slice(nameAt + fields.length) : undefined,
  };
}

let lastFieldsText = '';
let lastFields: Fields | undefined;

/** Tasks that come together mostly have the same, so the last ones are remembered, and what they were read from. */
function readFields(text: string, from: number): Fields {
  if (lastFields !== undefined && text.startsWith(lastFieldsText, from)) return lastFields;
  const keyAt = text.indexOf(separator, from) + 1;
  const groupAt = text.indexOf(separator, keyAt) + 1;
  const ownerAt = text.indexOf(separator, groupAt) + 1;
  const mostAt = text.indexOf(separator, ownerAt) + 1;
  const restAt = text.indexOf(separator, mostAt) + 1;
  const inputAt = text.indexOf(separator, restAt) + 1;
  const most = text.slice(mostAt, restAt - 1);
  const [version, timeoutMs, headers] = JSON.parse(text.slice(restAt, inputAt - 1)) as [number, number?, TaskHeaders?];
  lastFields = {
    name: text.slice(from, keyAt - 1),
    key: text.slice(keyAt, groupAt - 1) || undefined,
    group: text.slice(groupAt, ownerAt - 1) || undefined,
    owner: text.slice(ownerAt, mostAt - 1) || undefined,
    maxAttempts: most === '' ? Number.POSITIVE_INFINITY : Number(most),
    version,
    timeoutMs: timeoutMs === 0 ? undefined : timeoutMs,
    headers,
    length: inputAt - from,
  };
  // To the last separator, so that nothing else begins with it.
  lastFieldsText = text.slice(from, inputAt);
  return lastFields;
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
  const { createdAt, priority, fields, input } = readContent(content);
  const { name, key, group, owner, maxAttempts, version, timeoutMs, headers } = fields;
  const delivery: Mutable<Delivery> = {
    lease,
    name,
    queue,
    headers: { ...headers },
    priority,
    maxAttempts,
    version,
    createdAt,
    runAt: createdAt,
  };
  if (input !== undefined) delivery.input = input;
  if (timeoutMs !== undefined) delivery.timeoutMs = timeoutMs;
  if (key !== undefined) delivery.key = key;
  if (group !== undefined) delivery.group = group;
  if (owner !== undefined) delivery.owner = owner;
  return delivery;
}

/** Reads what read-tasks.lua gives of one task. */
export function readRecord(id: string, queue: string, parts: readonly string[], now: number): TaskRecord {
  const [contentText = '', run = '', output, progress, checkpoint, errors, log] = parts;
  const { createdAt, dueAt, expiresAt, priority, fields, input } = readContent(contentText);
  const { name, key, group, owner, maxAttempts, version, timeoutMs, headers } = fields;
  const hasRun = run !== '';
  // Dashes stand for when it was created.
  const runAt = hasRun && run[44] !== '-' ? Number(run.slice(43, 60)) : dueAt;
  const stored = stateLetters[hasRun ? (run[0] as string) : 'p'] as TaskState;
  const optional: Partial<Mutable<TaskRecord>> = {
    input,
    expiresAt,
    timeoutMs,
    key,
    group,
    owner,
    checkpoint: present(checkpoint),
    progress: present(progress),
    output: present(output),
    ...(hasRun && readRunFields(run)),
  } as Partial<Mutable<TaskRecord>>;
  return {
    id,
    name,
    queue,
    state: stored === 'pending' && runAt > now ? 'scheduled' : stored,
    headers: { ...headers },
    priority,
    attempt: hasRun ? Number(run.slice(4, 14)) : 0,
    maxAttempts,
    fence: hasRun ? Number(run.slice(14, 27)) : 0,
    runAt,
    errors: readLines<TaskError>(present(errors)),
    log: readLines<TaskLogLine>(present(log)),
    createdAt,
    version,
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
