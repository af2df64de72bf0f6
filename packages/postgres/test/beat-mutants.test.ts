import { type BrokerHarness, type Mutant, runMutants } from '@millrace/conformance';
import type { Broker } from '@millrace/core';
import { expect, it } from 'vitest';
import { harness } from './harness.ts';

type Beat = NonNullable<Broker['beat']>;

/** Only a broker that has `beat` can have it wrong in these ways. */
function brokenBeat(name: string, defect: string, change: (beat: Beat) => Beat): Mutant {
  return {
    name,
    defect,
    caughtBy: 'LSE-25',
    breakHarness: (inner: BrokerHarness) => ({
      ...inner,
      connect(target) {
        const broker = inner.connect(target);
        const { beat } = broker;
        return beat === undefined ? broker : Object.assign(broker, { beat: change(beat.bind(broker)) });
      },
    }),
  };
}

const traps: readonly Mutant[] = [
  brokenBeat('beats-for-the-dead', 'a session that is over is said to be alive', (beat) => async (id) => {
    await beat(id);
    return 'alive';
  }),
  brokenBeat('beats-once', 'only the first beat for a session reaches the server', (beat) => {
    const beaten = new Set<string>();
    return (id) => {
      if (beaten.has(id)) return Promise.resolve('alive');
      beaten.add(id);
      return beat(id);
    };
  }),
];

it.each(traps)('$name: $defect ($caughtBy)', async (trap) => {
  const [result] = await runMutants(harness, { mutants: [trap] });
  expect(result, result?.reason).toMatchObject({ caught: true });
});
