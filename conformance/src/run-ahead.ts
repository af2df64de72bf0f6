import type { Scenario } from './scenario.ts';

/** How far beyond the one that is waited for, in widths: what the runner was told to leave out is run in vain. */
const horizon = 3;

/**
 * Keeps `width` scenarios in progress, in order, and gives out the result of each that is asked for. Those that run alone
 * wait until the others have ended, and hold back the next ones.
 */
export function runAhead<T>(
  scenarios: readonly Scenario[],
  width: number,
  run: (scenario: Scenario) => Promise<T>,
): (scenario: Scenario) => Promise<T> {
  const started = new Map<Scenario, Promise<T>>();
  const active = new Set<Promise<T>>();
  /** Asked for and not started yet. */
  const wanted: Scenario[] = [];
  let isAlone = false;
  /** Those to start ahead. */
  let next = 0;
  let last = 0;

  function fill(): void {
    for (let scenario = upcoming(); scenario !== undefined; scenario = upcoming()) {
      if (isAlone || active.size >= (scenario.alone === true ? 1 : width)) return;
      start(scenario);
    }
  }

  function upcoming(): Scenario | undefined {
    const first = wanted.find((scenario) => !started.has(scenario));
    if (first !== undefined) return first;
    while (next <= last && started.has(scenarios[next] as Scenario)) next++;
    return next <= last ? scenarios[next] : undefined;
  }

  function start(scenario: Scenario): void {
    isAlone = scenario.alone === true;
    const result = run(scenario).finally(() => {
      active.delete(result);
      isAlone = false;
      fill();
    });
    active.add(result);
    started.set(scenario, result);
  }

  return async (scenario) => {
    const index = scenarios.indexOf(scenario);
    wanted.push(scenario);
    // What was not asked for before it, the runner has left out.
    next = Math.max(next, index);
    last = Math.max(last, width > 1 ? Math.min(index + horizon * width, scenarios.length - 1) : index);
    fill();
    while (!started.has(scenario)) await Promise.race(active);
    return started.get(scenario) as Promise<T>;
  };
}
