/** How far a run is, as the broker counts it: all processes that work on it see the same. */
export interface Progress {
  /** Files found so far. */
  readonly total: number;
  /** Whether the folder was walked to its end. */
  readonly walked: boolean;
  /** Files whose task has ended, the dead ones included. */
  readonly done: number;
  readonly dead: number;
  /** Read by this process. */
  readonly bytesHere: number;
}

export function count(value: number): string {
  return value.toLocaleString('en-US');
}

export function files(value: number): string {
  return `${count(value)} ${value === 1 ? 'file' : 'files'}`;
}

const units = ['bytes', 'kB', 'MB', 'GB', 'TB', 'PB'];

export function bytes(value: number): string {
  let unit = 0;
  let scaled = value;
  for (; scaled >= 1_000 && unit < units.length - 1; unit++) scaled /= 1_000;
  return `${scaled >= 100 || unit === 0 ? Math.round(scaled) : scaled.toFixed(1)} ${units[unit]}`;
}

// Below this, files per second say more than bytes per second.
const notableBytesPerSecond = 1_000_000;

/** One line without the bar: `8,312 of 20,000 files, 41 %, 2 dead, 312 MB/s here`. */
export function progressText(progress: Progress, elapsedMs: number): string {
  const { total, walked, done, dead, bytesHere } = progress;
  const parts = walked
    ? [`${count(done)} of ${files(total)}`, `${percentOf(progress)} %`]
    : [`${files(done)} done, ${count(total)} found so far`];
  if (dead > 0) parts.push(`${count(dead)} dead`);
  const bytesPerSecond = (bytesHere / elapsedMs) * 1_000;
  if (bytesPerSecond >= notableBytesPerSecond) parts.push(`${bytes(bytesPerSecond)}/s here`);
  return parts.join(', ');
}

/** Whole per cent, rounded down: 100 only when nothing is left. */
export function percentOf({ total, done }: Progress): number {
  return total === 0 ? 100 : Math.floor((done / total) * 100);
}
