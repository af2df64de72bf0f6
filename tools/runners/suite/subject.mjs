// What is put under test: the broker as it is, or one broken on purpose, with or without a waiver.
import { mutants, scenarios } from '@millrace/conformance';
import { harness as memory } from './harness.mjs';

const { BROKEN_AS: name, WAIVED_BECAUSE: because } = process.env;
const mutant = mutants.find((each) => each.name === name);
if (name !== undefined && mutant === undefined) throw new Error(`there is no mutant ${name}`);
const broken = mutant === undefined ? memory : mutant.breakHarness(memory);
const waiver = { id: mutant?.caughtBy, because, issue: 'https://example.test/1', until: '2999-12-31' };

/** Its harness. */
export const harness = because === undefined ? broken : { ...broken, waivers: [waiver] };

/** All scenarios; of a broken broker the one that has to notice, and one that does not. */
export const chosen =
  mutant === undefined ? scenarios : scenarios.filter(({ id }) => id === mutant.caughtBy || id === 'MOD-01');
