/** Milliseconds the wall clock of a process is off from its start. */
export const clockSkewVariable = 'CLOCK_SKEW_MS';

// Plain JavaScript in a URL: nothing to find in `dist`, nothing to transpile, and it runs before any other module.
const source = `
const RealDate = Date;
let skewMs = Number(process.env.${clockSkewVariable} ?? 0);
class SkewedDate extends RealDate {
  constructor(...given) {
    if (given.length === 0) super(RealDate.now() + skewMs);
    else super(...given);
  }
  static now() { return RealDate.now() + skewMs; }
}
globalThis.Date = new Proxy(SkewedDate, {
  apply: () => new SkewedDate().toString(),
});
globalThis[Symbol.for('millrace.clock-skew')] = (ms) => { skewMs = ms; };
`;

/**
 * A module for `--import` that shifts `Date` by `CLOCK_SKEW_MS`. Monotonic clocks (`performance.now`, `hrtime`) and
 * timers stay right, as they do when a machine's wall clock is wrong.
 */
export const clockSkewPreload: string = `data:text/javascript,${encodeURIComponent(source)}`;

/** Makes the wall clock of this process jump to `ms` off. False without the preload. */
export function jumpClock(ms: number): boolean {
  const jump = (globalThis as Record<symbol, unknown>)[Symbol.for('millrace.clock-skew')];
  if (typeof jump !== 'function') return false;
  jump(ms);
  return true;
}
