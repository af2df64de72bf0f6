import {
  type BrokerHarness,
  faultMutants,
  faultScenarios,
  runConformance,
  runMutants,
  type ScenarioResult,
} from '@millrace/conformance';
import { Redis } from 'ioredis';
import { describe, expect, it } from 'vitest';
import { redisBroker } from '../src/index.ts';
import { harness } from './harness.ts';

// The general one hammers by asking `health`, which dials nothing here: ioredis reconnects by itself.
const hammering = 'reconnects-without-a-pause';
const others = faultMutants.filter(({ name }) => name !== hammering);

describe('every broker that breaks with the network is caught by the scenario it names', () => {
  it.concurrent.each(others)('$name: $defect ($caughtBy)', async (mutant) => {
    const [result] = await runMutants(harness, { mutants: [mutant] });
    expect(result, result?.reason).toMatchObject({ caught: true });
  });

  it(`${hammering}: while the backend refuses connections, ioredis is told to try again at once (FLT-14)`, async () => {
    const broken: BrokerHarness = {
      ...harness,
      connect: ({ url, namespace, clock, callTimeoutMs }) =>
        redisBroker({
          connect: () =>
            new Redis(url, {
              lazyConnect: true,
              protocol: 2,
              retryStrategy: () => 0,
              maxRetriesPerRequest: null,
              connectTimeout: 1_000,
            }),
          prefix: namespace,
          clock,
          ...(callTimeoutMs !== undefined && { operationTimeout: callTimeoutMs }),
        }),
    };
    const results: ScenarioResult[] = [];
    await runConformance(broken, {
      scenarios: faultScenarios.filter(({ id }) => id === 'FLT-14'),
      onResult: (result) => results.push(result),
    });
    expect(results).toMatchObject([{ status: 'fail', reason: expect.stringMatching(/attempts to connect/) }]);
  });
});
