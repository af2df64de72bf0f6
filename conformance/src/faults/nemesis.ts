import type { Fault } from './fault-journal.ts';
import type { TcpProxy } from './tcp-proxy.ts';

/** Something a nemesis may do. */
export interface NemesisFault {
  readonly name: string;
  /** Relative to the others. Default 1. */
  readonly weight?: number;
  /** Begins it. What it returns ends it; nothing when it was over at once. `random` gives numbers in [0, 1). */
  start(random: () => number): Fault | undefined | Promise<Fault | undefined>;
}

/** How a schedule of faults is made. */
export interface NemesisPlanOptions {
  /** The same seed gives the same schedule. */
  readonly seed: number;
  readonly faults: readonly NemesisFault[];
  /** From the first fault to the end of the last one. */
  readonly durationMs: number;
  /** Mean pause between the end of a fault and the next. Default 300. */
  readonly meanPauseMs?: number;
  /** Mean duration of a fault. Default 300. */
  readonly meanFaultMs?: number;
}

/** One fault of a schedule. */
export interface PlannedFault {
  readonly fault: NemesisFault;
  /** Milliseconds after the begin of the schedule. */
  readonly at: number;
  readonly forMs: number;
  /** Seed of the numbers its `start` gets. */
  readonly seed: number;
}

/** What a nemesis did. */
export interface NemesisReport {
  readonly seed: number;
  readonly started: number;
  /** Names of the faults in order, for the message of a failure. */
  readonly names: readonly string[];
}

/** Numbers in [0, 1) that the seed decides (mulberry32). */
export function seededRandom(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
}

/** Decides what happens when. Pure. Faults do not overlap, and the last one ends within the duration. */
export function planNemesis(options: NemesisPlanOptions): PlannedFault[] {
  const { seed, faults, durationMs, meanPauseMs = 300, meanFaultMs = 300 } = options;
  const random = seededRandom(seed);
  // Exponential, as failures are that know nothing of each other; cut off so that a single one does not take it all.
  const around = (mean: number): number => Math.min(4 * mean, -mean * Math.log(1 - random()));
  const total = faults.reduce((sum, { weight = 1 }) => sum + weight, 0);
  const plan: PlannedFault[] = [];
  for (let at = around(meanPauseMs); ; at += around(meanPauseMs)) {
    const fault = pick(faults, random() * total);
    const forMs = around(meanFaultMs);
    if (fault === undefined || at + forMs > durationMs) return plan;
    plan.push({ fault, at, forMs, seed: Math.floor(random() * 4_294_967_296) });
    at += forMs;
  }
}

function pick(faults: readonly NemesisFault[], point: number): NemesisFault | undefined {
  let before = 0;
  return faults.find(({ weight = 1 }) => {
    before += weight;
    return point < before;
  });
}

/**
 * Carries out a schedule. Whatever happens, including a fault that cannot be started or an abort, everything that was
 * begun is ended when it resolves, and `heal` is called last: after it the system has to recover by itself.
 */
export async function runNemesis(
  options: NemesisPlanOptions & { readonly heal?: () => Promise<void> | void; readonly signal?: AbortSignal },
): Promise<NemesisReport> {
  const { seed, signal, heal } = options;
  const begun = performance.now();
  const names: string[] = [];
  const active = new Set<Fault>();
  try {
    for (const planned of planNemesis(options)) {
      await until(begun + planned.at, signal);
      if (signal?.aborted === true) break;
      names.push(planned.fault.name);
      const fault = await planned.fault.start(seededRandom(planned.seed));
      if (fault === undefined) continue;
      active.add(fault);
      await until(begun + planned.at + planned.forMs, signal);
      fault.heal();
      active.delete(fault);
    }
  } finally {
    for (const fault of active) fault.heal();
    await heal?.();
  }
  return { seed, started: names.length, names };
}

/** What a nemesis can do with a proxy: every fault of a link that a backend has to survive. */
export function networkFaults(proxy: TcpProxy): NemesisFault[] {
  const oneOf = (random: () => number) => {
    const numbers = proxy.links.map((link) => link.number);
    const chosen = numbers[Math.floor(random() * numbers.length)];
    return (link: { readonly number: number }) => link.number === chosen;
  };
  return [
    { name: 'sever all', start: () => void proxy.sever() },
    { name: 'sever one', weight: 2, start: (random) => void proxy.sever(oneOf(random)) },
    {
      name: 'refuse',
      start: (random) => {
        const fault = proxy.refuse(random() < 0.5 ? 'closed' : 'reset');
        proxy.sever();
        return fault;
      },
    },
    { name: 'blackhole', start: () => proxy.blackhole('both') },
    { name: 'blackhole in', start: () => proxy.blackhole('in') },
    { name: 'blackhole out', start: () => proxy.blackhole('out') },
    { name: 'blackhole one', start: (random) => proxy.blackhole('both', oneOf(random)) },
    { name: 'latency', start: (random) => proxy.latency(20 + random() * 80, 20) },
    { name: 'throttle', start: (random) => proxy.throttle(2_000 + random() * 20_000) },
    {
      name: 'cut reply',
      weight: 3,
      start: (random) => {
        const cut = proxy.cutReply({ nth: 1 + Math.floor(random() * 5) });
        return { heal: () => cut.disarm() };
      },
    },
    { name: 'cut after', start: (random) => proxy.cutAfter(Math.floor(random() * 2_000)) },
  ];
}

function until(time: number, signal: AbortSignal | undefined): Promise<void> {
  return new Promise((resolve) => {
    const done = (): void => {
      clearTimeout(timer);
      signal?.removeEventListener('abort', done);
      resolve();
    };
    const timer = setTimeout(done, Math.max(0, time - performance.now()));
    signal?.addEventListener('abort', done, { once: true });
    if (signal?.aborted === true) done();
  });
}
