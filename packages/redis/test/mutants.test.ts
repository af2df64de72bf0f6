import { type BrokerHarness, type Mutant, runMutants } from '@millrace/conformance';
import { describe, expect, it } from 'vitest';
import { StoreBroker } from '../src/redis-broker.ts';
import { makeScripts } from '../src/scripts.ts';
import { harness } from './harness.ts';
import { type ScriptMutant, traps } from './traps.ts';

function broken({ name, defect, caughtBy, scripts, from, to, pollInterval }: ScriptMutant): Mutant {
  const changed = makeScripts((script, text) => {
    if (!scripts.includes(script)) return text;
    const [before, after, ...more] = text.split(from);
    if (before === undefined || after === undefined || more.length > 0) {
      throw new Error(`${name}: ${script} must hold this once: ${from}`);
    }
    return before + to + after;
  });
  return {
    name,
    defect,
    caughtBy,
    breakHarness: (inner: BrokerHarness) => ({
      ...inner,
      connect: ({ url, namespace, clock, callTimeoutMs }) =>
        new StoreBroker(
          {
            url,
            prefix: namespace,
            clock,
            ...(callTimeoutMs !== undefined && { operationTimeout: callTimeoutMs }),
            ...(pollInterval !== undefined && { pollInterval: pollInterval as '1h' }),
          },
          changed,
        ),
    }),
  };
}

describe('every script with a trap in it is caught by the scenario it names', () => {
  it.concurrent.each(traps)('$name: $defect ($caughtBy)', async (trap) => {
    const [result] = await runMutants(harness, { mutants: [broken(trap)] });
    expect(result, result?.reason).toMatchObject({ caught: true });
  });
});
