import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, describe, expect, it } from 'vitest';
import { doctor } from '../src/cli/doctor.ts';
import { runCli } from '../src/cli/run-cli.ts';
import type { BrokerHarness } from '../src/harness.ts';
import { mutants } from '../src/mutants/index.ts';
import { emptyHarness } from './empty-broker.ts';
import { loadMemoryHarness } from './memory-harness.ts';

const memoryFile = fileURLToPath(new URL('../../packages/memory/test/harness.ts', import.meta.url));
const folder = mkdtempSync(path.join(tmpdir(), 'millrace-cli-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

function terminal() {
  const lines: string[] = [];
  return {
    out: (text: string) => void lines.push(text),
    err: (text: string) => void lines.push(text),
    text: () => lines.join('\n'),
  };
}

async function run(...args: string[]): Promise<{ code: number; text: string }> {
  const screen = terminal();
  const code = await runCli(args, screen);
  return { code, text: screen.text() };
}

describe('millrace-conformance', () => {
  it('says how it is used, and exits with 2 when it is misused', async () => {
    expect(await run('--help')).toMatchObject({ code: 0, text: expect.stringContaining('doctor <harness>') });
    for (const [args, message] of [
      [[], 'doctor <harness>'],
      [['fly'], 'there is no command "fly"'],
      [['run'], 'name the module'],
      [['run', 'nowhere.ts'], 'there is no file nowhere.ts'],
      [['run', memoryFile, '--only', 'XYZ'], 'no scenario or group XYZ; groups are MOD, STM'],
      [['run', memoryFile, '--tier', 'gold'], 'there are core, extended and fault'],
      [['run', memoryFile, '--repeat', '0'], '--repeat 0: a whole number, at least 1'],
      [['run', memoryFile, '--colour'], "Unknown option '--colour'"],
      [['explain'], 'name a scenario or a rule'],
      [['explain', 'LSE-99'], 'there is no scenario and no rule LSE-99'],
      [['replay', memoryFile, 'nonsense'], '"nonsense" is no line of a failing run'],
      [['mutants', memoryFile, '--only', 'nobody'], 'no mutant nobody'],
      [['matrix', memoryFile], 'is no report'],
    ] as const) {
      const { code, text } = await run(...args);
      expect(text, args.join(' ')).toContain(message);
      expect(code, args.join(' ')).toBe(2);
    }
  });

  it('run: runs what was chosen, writes every form of the report, and repeats', async () => {
    const reports = path.join(folder, 'reports');
    const { code, text } = await run('run', memoryFile, '--only', 'lse,ORD-01', '--repeat', '2', '--reports', reports);
    expect(text).toContain('round 2 of 2: 0 failures so far');
    expect(text).toMatch(/core +success +\d+ passed, 0 failed/);
    expect(code).toBe(0);
    const report = JSON.parse(readFileSync(path.join(reports, 'report.json'), 'utf8'));
    expect(report.subject).toEqual({ name: 'memory' });
    expect(report.reproduce).toBe(`npx millrace-conformance run ${memoryFile} --only LSE,ORD-01`);
    for (const name of ['report.md', 'report.html', 'junit.xml', 'badge.json'])
      expect(readFileSync(path.join(reports, name), 'utf8').length).toBeGreaterThan(50);
    const matrix = await run('matrix', path.join(reports, 'report.json'));
    expect(matrix).toMatchObject({ code: 0, text: expect.stringContaining('|  | memory |') });
  });

  it('run and replay: a broken broker fails, and the line it prints runs the same program again', async () => {
    const file = path.join(folder, 'broken.mjs');
    const source = fileURLToPath(new URL('../src/mutants/index.ts', import.meta.url));
    writeFileSync(
      file,
      `import { mutants } from ${JSON.stringify(source)};
       import { harness as memory } from ${JSON.stringify(memoryFile)};
       export const harness = mutants.find(({ name }) => name === 'failure-kind-lost').breakHarness(memory);
       export const close = () => { globalThis.closedHarness = true; };`,
    );
    const failed = await run('run', file, '--only', 'ORD-01', '--model', '200', '--seed', '3');
    expect(failed.code).toBe(1);
    expect((globalThis as { closedHarness?: boolean }).closedHarness).toBe(true);
    const line = /repeat it: .* "(seed=3,path=[\d:]+)"/.exec(failed.text)?.[1];
    const again = await run('replay', file, line ?? '');
    expect(again.code).toBe(1);
    expect(again.text).toContain('t0: failure is "error"');
    expect(await run('replay', file, 'CON-15 seed=7')).toMatchObject({
      text: expect.stringMatching(/^CON-15 seed 7: /),
    });
  }, 30_000);

  it('explain: a scenario, its rule, why it is there, and the bugs it catches', async () => {
    const { code, text } = await run('explain', 'lse-04');
    expect(code).toBe(0);
    expect(text).toContain('LSE-04 (core): a stale complete');
    expect(text).toContain('rule    R-LSE-4: A completion with an older fence MUST be `stale`');
    expect(text).toContain('reason  A holder that was replaced must not overwrite what its successor does. (T4)');
    expect(text).toContain('catches a stale complete is applied to whatever run the task is in');
    expect((await run('explain', 'ORD-5')).text).toContain('unverified: no scenario checks it yet');
  });

  it('mutants: catches what it tries, and says what it could not try', async () => {
    const { code, text } = await run('mutants', memoryFile, '--only', 'claim-doubles,waits-for-ever');
    expect(text).toBe('1 caught, 0 survived, 1 could not be tried on this broker');
    expect(code).toBe(0);
  });
});

/** What the doctor says, and what it tells the author to do next. */
async function consult(harness: unknown): Promise<{ healthy: boolean; text: string; next: string }> {
  const screen = terminal();
  const healthy = await doctor(harness as BrokerHarness, screen);
  const text = screen.text();
  return { healthy, text, next: /next {2}(.*)/.exec(text)?.[1] ?? '' };
}

describe('the doctor leads a stub to Core, one step after the other', () => {
  const drop = async (): Promise<void> => {};
  const stub = (broker: unknown): unknown => ({ name: 'stub', connect: () => broker, drop });
  const silent = { stats: drop, pause: drop, resume: drop, purge: drop };
  const methods = { open: drop, enqueue: drop, openSession: drop, maintain: drop, health: drop, close: drop };

  it.each([
    ['an empty harness', {}, 'give the harness a name: string'],
    ['no drop', { name: 'stub', connect: () => ({}) }, 'give the harness a drop: function'],
    ['an asynchronous connect', stub(Promise.resolve({})), 'return the broker itself'],
    ['nothing', stub(undefined), 'return an object that implements Broker'],
    ['an empty broker', stub({}), 'write open(): connect, set up what you store'],
    ['no maintenance', stub({ ...methods, maintain: 1 }), 'write maintain(): take back tasks of lapsed sessions'],
    ['no kind', stub(methods), "give the broker a kind, such as 'mine'"],
    ['no queues', stub({ ...methods, kind: 'stub' }), 'write queues.stats()'],
    ['no capabilities', stub({ ...methods, kind: 'stub', queues: silent }), 'capabilities.ts has them; claim little'],
    ['an enqueue that refuses', emptyHarness(), 'make this work: enqueue answers `accepted`'],
  ])('%s', async (_what, harness, next) => {
    const said = await consult(harness);
    expect(said.next).toContain(next);
    expect(said.text).toContain('STOP');
    expect(said.healthy).toBe(false);
  });

  it('names wrong capabilities by their path', async () => {
    const broker = { ...methods, kind: 'stub', queues: silent, open: async () => ({ profile: 'best', unique: false }) };
    const { text } = await consult(stub(broker));
    expect(text).toContain('profile must be "transport" or "full"; it is "best"');
    expect(text).toContain('durability must be "none" or "node" or "replicated"; it is missing');
    expect(text).not.toContain('unique.until');
  });

  it('stops at the first group that fails, with the rule', async () => {
    const broken = mutants.find(({ name }) => name === 'claim-doubles')!.breakHarness(await loadMemoryHarness());
    const { healthy, text, next } = await consult(broken);
    expect(healthy).toBe(false);
    expect(text).toMatch(/STOP {2}[A-Z]{3}: \d+ of \d+ pass\n {6}[A-Z]{3}-\d\d .*\n {8}R-[A-Z]{3}-\d+: /);
    expect(next).toMatch(/^millrace-conformance explain [A-Z]{3}-\d\d$/);
  });

  it('says when Core is reached, and what to do then', async () => {
    const { healthy, text } = await consult(await loadMemoryHarness());
    expect(text).toContain('Core is reached.');
    expect(healthy).toBe(true);
  }, 30_000);
});
