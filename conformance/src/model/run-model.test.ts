import { beforeAll, describe, expect, it } from 'vitest';
import { loadMemoryHarness } from '../../test/memory-harness.ts';
import type { BrokerHarness } from '../harness.ts';
import { mutants } from '../mutants/index.ts';
import type { Command } from './command.ts';
import { parseReplay, replayProgram, runModel } from './run-model.ts';
import { shortenProgram } from './shorten-program.ts';
import { plainSpec } from './vocabulary.ts';

let memory: BrokerHarness;
beforeAll(async () => {
  memory = await loadMemoryHarness();
});

function broken(name: string): BrokerHarness {
  const mutant = mutants.find((each) => each.name === name);
  if (mutant === undefined) throw new Error(`there is no mutant ${name}`);
  return mutant.breakHarness(memory);
}

const claim: Command = { type: 'claim', session: 0, limit: 0, queues: 2, names: 2, any: false, eager: true };
const lease = { pick: 0, held: true, forge: 0 } as const;
const failing: readonly Command[] = [
  { type: 'enqueue', tasks: [plainSpec] },
  claim,
  { type: 'settle', how: 'complete', leases: [lease], delay: 0 },
];

describe('runModel', () => {
  it('shrinks a failure to what it takes, and explains it', { timeout: 30_000 }, async () => {
    const { status, failure } = await runModel(broken('failure-kind-lost'), { seed: 3, runs: 500 });
    expect(status).toBe('fail');
    expect(failure?.program.map((command) => command.type)).toEqual(['enqueue', 'claim', 'settle']);
    expect(failure?.explanation).toMatch(/s0\.settle fail t0#1 {2}→ applied\n.*get t0 .*failed, error/);
    expect(failure?.explanation).toContain('t0: failure is "error"; expected "');
    expect(failure?.scenario).toContain('const s0 = await t.holder({ own: true, ttlMs: 86400000 });');
    expect(failure?.scenario).toMatch(/t\.equal\(\(await t\.find\('t0'\)\)\?\.failure, '\w+', 'failure of t0'\);/);
  });

  it('runs the program of a replay line again', { timeout: 30_000 }, async () => {
    const first = await runModel(broken('retry-does-not-charge'), { seed: 3, runs: 500 });
    const { seed, path } = parseReplay(`MILLRACE_MODEL="${first.failure?.replay}"`);
    const again = await runModel(broken('retry-does-not-charge'), { seed, path });
    expect(again).toMatchObject({ status: 'fail', seed: 3 });
    expect(again.failure?.program).toEqual(first.failure?.program);
  });

  it('replays a program that was written down', async () => {
    expect((await replayProgram(memory, failing)).mismatch).toBeUndefined();
    const run = await replayProgram(broken('complete-not-stored'), failing);
    expect(run.mismatch?.why).toBe('the answer is none of those the rules allow');
    expect(run.trace.filter((step) => step.commanded)).toHaveLength(3);
  });

  it('knows a replay line from other text', () => {
    expect(parseReplay('seed=-5,path=12:3:0')).toEqual({ seed: -5, path: '12:3:0' });
    expect(() => parseReplay('seed=5')).toThrow('not a replay line');
  });
});

describe('shortenProgram', () => {
  const advance = (time: number): Command => ({ type: 'advance', time });

  it('takes out commands and parts of commands that are not needed', async () => {
    const program: Command[] = [
      advance(1),
      { type: 'get', tasks: [1, 2, 3] },
      advance(2),
      advance(3),
      { type: 'maintain' },
      advance(4),
    ];
    const short = await shortenProgram(program, async (shorter) => {
      const get = shorter.find((command) => command.type === 'get');
      return get?.type === 'get' && get.tasks.includes(2) && shorter.some((command) => command.type === 'maintain');
    });
    expect(short).toEqual([{ type: 'get', tasks: [2] }, { type: 'maintain' }]);
  });
});
