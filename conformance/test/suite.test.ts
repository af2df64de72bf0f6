import { describe, expect, it } from 'vitest';
import { defineConformance, type TestRunner } from '../src/define-conformance.ts';
import { runConformance } from '../src/run-conformance.ts';
import type { Scenario } from '../src/scenario.ts';
import { emptyHarness } from './empty-broker.ts';

function scenario(changes: Partial<Scenario>): Scenario {
  return {
    id: 'TST-01',
    rule: 'R-TST-1',
    title: 'a test',
    tier: 'core',
    run: async (t) => t.ok(true, 'fine'),
    ...changes,
  };
}

async function resultOf(changes: Partial<Scenario>) {
  const { scenarios } = await runConformance(emptyHarness(), { scenarios: [scenario(changes)] });
  return scenarios[0]!;
}

/** A test runner that writes down what it is told. */
function recorder() {
  const tests: { name: string; body?: () => Promise<void> }[] = [];
  const register = (name: string, body: () => Promise<void>) => void tests.push({ name, body });
  const it = Object.assign(register, { skip: (name: string) => void tests.push({ name }) });
  const runner: TestRunner = { describe: (_name, body) => body(), it };
  return { runner, tests };
}

describe('a scenario', () => {
  it('that asserts nothing is an error, not a pass', async () => {
    expect(await resultOf({ run: async () => {} })).toMatchObject({
      status: 'error',
      reason: 'the scenario asserted nothing',
    });
  });

  it('fails when one cell of its table fails, and names the cell', async () => {
    const result = await resultOf({
      async run(t) {
        await t.cell('good', async () => t.ok(true, 'fine'));
        await t.cell('bad', async () => t.equal(1, 2, 'the number'));
        t.notObservable('dark', 'no light');
      },
    });
    expect(result).toMatchObject({ status: 'fail', cells: { pass: 1, fail: 1, notObservable: ['dark'] } });
    expect(result.reason).toContain('bad: the number is 1; expected 2');
  });

  it('that waits for what never comes fails by its budget', async () => {
    const result = await resultOf({ run: (t) => t.soon(new Promise<void>(() => {}), 'the impossible') });
    expect(result).toMatchObject({
      status: 'fail',
      reason: expect.stringContaining('the impossible did not happen within'),
    });
  });

  it('that is not claimed is unsupported, and one the harness cannot serve is not run', async () => {
    const reason = 'because';
    expect(await resultOf({ needs: [() => ({ status: 'unsupported', reason })] })).toMatchObject({
      status: 'unsupported',
      reason,
    });
    expect(await resultOf({ needs: [() => true, () => ({ status: 'not-run', reason })] })).toMatchObject({
      status: 'not-run',
      reason,
    });
  });

  it('cleans up in reverse order, also after a failure, and a problem of the clean-up is an error', async () => {
    const order: string[] = [];
    const failed = await resultOf({
      async run(t) {
        t.defer(async () => void order.push('first'));
        t.defer(async () => void order.push('second'));
        t.ok(false, 'on purpose');
      },
    });
    expect([failed.status, order]).toEqual(['fail', ['second', 'first']]);
    const broken = await resultOf({
      async run(t) {
        t.defer(() => Promise.reject(new Error('stuck')));
        t.ok(true, 'fine');
      },
    });
    expect(broken).toMatchObject({ status: 'error', reason: expect.stringContaining('stuck') });
  });
});

describe('the suite', () => {
  it('registers one test per scenario, and says in the title why one is skipped', async () => {
    const { runner, tests } = recorder();
    const scenarios = [
      scenario({}),
      scenario({ id: 'TST-02', needs: [() => ({ status: 'unsupported', reason: 'unsupported: wings' })] }),
      scenario({ id: 'TST-03', run: async (t) => t.ok(false, 'on purpose') }),
      scenario({ id: 'TST-04', provisional: true, run: async (t) => t.ok(false, 'on purpose') }),
      scenario({ id: 'TST-05', provisional: true }),
    ];
    await defineConformance(runner, emptyHarness(), { scenarios, concurrency: 3 });
    expect(tests.map(({ name }) => name)).toEqual([
      'TST-01 a test',
      'TST-02 a test [unsupported: wings]',
      'TST-03 a test',
      'TST-04 a test [provisional] [it fails: AssertionError: on purpose]',
      'TST-05 a test [provisional]',
    ]);
    expect(tests.map(({ body }) => body !== undefined)).toEqual([true, false, true, false, true]);
    await tests[0]!.body!();
    await expect(tests[2]!.body!()).rejects.toThrow(/R-TST-1: .*on purpose/);
    await tests[4]!.body!();
  });

  it('runs a scenario that mistreats what others use while nothing else runs', async () => {
    const running = new Set<string>();
    const seen: string[][] = [];
    const pass = (id: string, alone?: true): Scenario =>
      scenario({
        id,
        ...(alone && { alone }),
        async run(t) {
          running.add(id);
          seen.push([...running]);
          for (let turn = 0; turn < 5; turn++) await new Promise<void>((resolve) => setImmediate(resolve));
          running.delete(id);
          t.ok(true, 'fine');
        },
      });
    const scenarios = [pass('TST-01'), pass('TST-02'), pass('TST-03', true), pass('TST-04'), pass('TST-05')];
    const { runner, tests } = recorder();
    await defineConformance(runner, emptyHarness(), { scenarios, concurrency: 4 });
    for (const { body } of tests) await body!();
    const report = await runConformance(emptyHarness(), { scenarios, concurrency: 4 });
    expect(report.scenarios.map(({ id }) => id)).toEqual(scenarios.map(({ id }) => id));
    const together = seen.filter((ids) => ids.length > 1).flat();
    expect(seen).toHaveLength(10);
    expect(together).toContain('TST-02');
    expect(together).not.toContain('TST-03');
  });

  it('registers a failing test when the broker cannot be opened', async () => {
    const { runner, tests } = recorder();
    const locked = emptyHarness(() => Promise.reject(new Error('no way in')));
    await defineConformance(runner, locked);
    expect(tests).toHaveLength(1);
    await expect(tests[0]!.body!()).rejects.toThrow('no way in');
  });
});
