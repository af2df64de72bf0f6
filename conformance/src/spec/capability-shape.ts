/** What a value may be: a type, or one of these. */
type Shape =
  | 'boolean'
  | 'number'
  | 'number or null'
  | 'number or absent'
  | readonly (string | boolean)[]
  | { readonly listOf: readonly string[] };

const control: Shape = { listOf: ['waiting', 'running'] };

/** Every capability by its path, and what it may be. `unique` may also be false as a whole. */
const shapes: Readonly<Record<string, Shape>> = {
  profile: ['transport', 'full'],
  durability: ['none', 'node', 'replicated'],
  clock: ['server', 'process'],
  timePrecisionMs: 'number',
  'delay.maxMs': 'number',
  'delay.granularityMs': 'number',
  'priority.levels': 'number',
  'priority.strict': 'boolean',
  order: ['fifo', 'best-effort'],
  'settle.confirmedBy': ['memory', 'commit', 'reply', 'barrier'],
  'settle.retryAtomic': 'boolean',
  'session.minTtlMs': 'number',
  'session.maxTtlMs': 'number',
  'session.sweepMs': 'number',
  'batch.maxEnqueue': 'number',
  'batch.maxClaim': 'number',
  'batch.enqueueAtomic': 'boolean',
  'batch.inFlight': 'number or absent',
  idempotentIds: 'boolean',
  claimByName: 'boolean',
  claimById: 'boolean',
  'unique.until': { listOf: ['started', 'settled'] },
  'unique.replace': 'boolean',
  transactions: 'boolean',
  'reports.progress': 'boolean',
  'reports.checkpoint': 'boolean',
  'reports.log': 'boolean',
  'reports.begun': 'boolean',
  'tasks.get': 'boolean',
  'tasks.list': 'boolean',
  'tasks.count': 'boolean',
  'tasks.cancel': control,
  'tasks.pause': control,
  'tasks.rerun': 'boolean',
  'tasks.reschedule': 'boolean',
  'tasks.update': 'boolean',
  'tasks.remove': 'boolean',
  'tasks.wait': 'boolean',
  'tasks.events': 'boolean',
  'queues.pause': [false, 'process', 'global'],
  'queues.counts': ['exact', 'approximate', 'ready-only'],
  'queues.purge': 'boolean',
  schedules: 'boolean',
  groups: 'boolean',
  'wakeup.push': 'boolean',
  'wakeup.pollMs': 'number',
  'payload.maxBytes': 'number',
  'retention.succeededMs': 'number or null',
  'retention.failedMs': 'number or null',
};

/** What is missing or wrong in what `open` returned, a line for each; none when it is complete. */
export function checkCapabilities(value: unknown): string[] {
  if (typeof value !== 'object' || value === null) return ['it is no object'];
  const unique = (value as { readonly unique?: unknown }).unique;
  return Object.entries(shapes).flatMap(([path, shape]) => {
    if (path.startsWith('unique.') && unique === false) return [];
    const found = path
      .split('.')
      .reduce<unknown>((at, key) => (at as Record<string, unknown> | undefined)?.[key], value);
    return fits(found, shape) ? [] : [`${path} must be ${wording(shape)}; it is ${shown(found)}`];
  });
}

function fits(value: unknown, shape: Shape): boolean {
  if (shape === 'boolean') return typeof value === 'boolean';
  if (shape === 'number') return typeof value === 'number' && value >= 0;
  if (shape === 'number or absent') return value === undefined || (typeof value === 'number' && value >= 1);
  if (shape === 'number or null') return value === null || (typeof value === 'number' && value >= 0);
  if ('listOf' in shape) return Array.isArray(value) && value.every((item) => shape.listOf.includes(item as string));
  return shape.includes(value as string);
}

function wording(shape: Shape): string {
  if (typeof shape === 'string') return shape === 'number' ? 'a number of at least 0' : `a ${shape}`;
  if ('listOf' in shape) return `a list of ${shape.listOf.join(', ')}`;
  return shape.map((each) => JSON.stringify(each)).join(' or ');
}

function shown(value: unknown): string {
  return value === undefined ? 'missing' : JSON.stringify(value).slice(0, 60);
}
