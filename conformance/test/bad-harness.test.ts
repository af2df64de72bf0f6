import { once } from 'node:events';
import { createServer, connect as dial, type Server, type Socket } from 'node:net';
import type { Broker } from '@millrace/core';
import { beforeAll, describe, expect, it } from 'vitest';
import { defineConformance, type TestRunner } from '../src/define-conformance.ts';
import type { BrokerHarness } from '../src/harness.ts';
import { committedReport } from '../src/report/report.ts';
import { runConformance } from '../src/run-conformance.ts';
import type { Scenario } from '../src/scenario.ts';
import { scenarios } from '../src/scenarios/index.ts';
import { loadMemoryHarness } from './memory-harness.ts';

let memory: BrokerHarness;
beforeAll(async () => {
  memory = await loadMemoryHarness();
});

const some = scenarios.filter(({ id }) => /^(MOD-0[1268]|LSE-0[14]|SHD-11|ORD-01)$/.test(id));
const only = (id: string): Scenario[] => scenarios.filter((scenario) => scenario.id === id);

/** The broker of the memory harness with parts of it replaced. */
function withBroker(change: (broker: Broker<unknown>) => Partial<Broker<unknown>>): BrokerHarness {
  return {
    ...memory,
    connect(target) {
      const inner = memory.connect(target);
      const changed = change(inner);
      return new Proxy(inner, {
        get(broker, name) {
          if (name in changed) return Reflect.get(changed, name);
          const value: unknown = Reflect.get(broker, name, broker);
          return typeof value === 'function' ? value.bind(broker) : value;
        },
      });
    },
  };
}

describe('a bad harness never passes', () => {
  it('that throws in open: the run rejects, and a runner sees a failing test', async () => {
    const locked = withBroker(() => ({ open: () => Promise.reject(new Error('no way in')) }));
    await expect(runConformance(locked, { scenarios: some })).rejects.toThrow('no way in');
    const tests: (() => Promise<void>)[] = [];
    const register = (_name: string, body: () => Promise<void>): void => void tests.push(body);
    const runner: TestRunner = {
      describe: (_name, body) => body(),
      it: Object.assign(register, { skip: () => {} }),
    };
    await defineConformance(runner, locked, { scenarios: some });
    expect(tests).toHaveLength(1);
    await expect(tests[0]!()).rejects.toThrow('no way in');
  });

  it('that throws in open now and then: each scenario it hits fails', async () => {
    let opened = 0;
    const flaky = withBroker((inner) => ({
      open: () => (++opened === 1 ? inner.open() : Promise.reject(new Error('no way in any more'))),
    }));
    const report = await runConformance(flaky, { scenarios: some });
    const ran = report.scenarios.filter(({ status }) => status !== 'not-run');
    expect(new Set(ran.map(({ status }) => status))).toEqual(new Set(['fail']));
    expect(report.profiles.core.result).toBe('failure');
  });

  it('that throws in connect, or whose drop rejects or hangs', async () => {
    let connected = 0;
    const broken: BrokerHarness = {
      ...memory,
      connect: (target) => {
        if (++connected > 1) throw new Error('connect is broken');
        return memory.connect(target);
      },
    };
    const [thrown] = (await runConformance(broken, { scenarios: only('LSE-01') })).scenarios;
    expect(thrown).toMatchObject({ status: 'error', reason: expect.stringContaining('connect is broken') });

    let dropped = 0;
    const refusing: BrokerHarness = {
      ...memory,
      drop: (target) => (++dropped === 1 ? memory.drop(target) : Promise.reject(new Error('cannot drop'))),
    };
    const [refused] = (await runConformance(refusing, { scenarios: only('LSE-01') })).scenarios;
    expect(refused).toMatchObject({ status: 'error', reason: expect.stringContaining('cannot drop') });
  });

  it('that leaks a connection: the resources it counts tell', async () => {
    const server: Server = createServer().listen(0, '127.0.0.1');
    await once(server, 'listening');
    const { port } = server.address() as { port: number };
    const sockets: Socket[] = [];
    const leaking: BrokerHarness = {
      ...withBroker((inner) => ({
        async open() {
          sockets.push(dial({ port, host: '127.0.0.1' }));
          return inner.open();
        },
      })),
      hooks: { ...memory.hooks, resources: async () => ({ connections: sockets.length }) },
    };
    try {
      const [result] = (await runConformance(leaking, { scenarios: only('SHD-11') })).scenarios;
      expect(result).toMatchObject({ status: 'fail', reason: expect.stringContaining('"connections":') });
    } finally {
      for (const socket of sockets) socket.destroy();
      server.close();
    }
  });

  it('that claims a capability it lacks, and that lacks the refusal of one it does not claim', async () => {
    const claims = (changes: object): BrokerHarness => {
      const seen = new Map<object, object>();
      return withBroker((inner) => ({
        async open() {
          const real = await inner.open();
          const claimed = seen.get(real) ?? Object.freeze({ ...real, ...changes });
          seen.set(real, claimed);
          return claimed as typeof real;
        },
      }));
    };
    const [events] = (await runConformance(claims({ schedules: true }), { scenarios: only('MOD-02') })).scenarios;
    expect(events).toMatchObject({ status: 'fail', reason: expect.stringContaining('schedule store') });
    const [quiet] = (await runConformance(claims({ unique: false }), { scenarios: only('MOD-02') })).scenarios;
    expect(quiet).toMatchObject({ status: 'fail', reason: expect.stringContaining('delivered beside the sentinel') });
    const [durable] = (
      await runConformance(claims({ claimByName: true, order: 'fifo', durability: 'node' }), {
        scenarios: only('ORD-01'),
      })
    ).scenarios;
    expect(durable?.status).toBe('pass');
  });

  it('that skips without a reason: a waiver must say why, where and until when', async () => {
    const until = '2999-12-31';
    const waiver = { id: 'LSE-01', because: 'a known bug', issue: 'https://example.test/1', until };
    for (const [wrong, message] of [
      [{ because: ' ' }, '`because` must say why it fails'],
      [{ issue: 'later' }, '`issue` must be an address'],
      [{ until: 'soon' }, '`until` must be a day'],
      [{ id: 'LSE-99' }, 'there is no such scenario'],
    ] as const) {
      const harness = { ...memory, waivers: [{ ...waiver, ...wrong }] };
      await expect(runConformance(harness, { scenarios: some })).rejects.toThrow(message);
    }
  });
});

describe('a waiver', () => {
  const failing: Scenario = {
    ...{ id: 'LSE-01', rule: 'R-LSE-1', title: 'a test', tier: 'core' },
    run: async (t) => t.ok(false, 'on purpose'),
  };
  const waiverUntil = (until: string) => [
    { id: 'LSE-01', because: 'a known bug', issue: 'https://example.test/1', until },
  ];

  it('turns a failure into `waived`, and the profile into partial at best', async () => {
    const harness = { ...memory, waivers: waiverUntil('2999-12-31') };
    const report = await runConformance(harness, { scenarios: [failing] });
    expect(report.scenarios[0]).toMatchObject({ status: 'waived', reason: expect.stringContaining('a known bug') });
    expect(report.profiles.core).toMatchObject({ result: 'partial', waived: 1, pass: 0, fail: 0 });
    expect(committedReport(report).scenarios[0]?.status).toBe('waived');
  });

  it('is a skipped test with its reason; once it has ended, or where nothing fails, it is a test like any other', async () => {
    const passing = { ...failing, run: async (t) => t.ok(true, 'fine') } as Scenario;
    const registered = async (until: string, one: Scenario) => {
      const tests: { readonly name: string; readonly body?: () => Promise<void> }[] = [];
      const register = (name: string, body: () => Promise<void>): void => void tests.push({ name, body });
      const runner: TestRunner = {
        describe: (_name, body) => body(),
        it: Object.assign(register, { skip: (name: string) => void tests.push({ name }) }),
      };
      await defineConformance(runner, { ...memory, waivers: waiverUntil(until) }, { scenarios: [one] });
      return tests;
    };
    expect(await registered('2999-12-31', failing)).toEqual([
      { name: 'LSE-01 a test [waived until 2999-12-31: a known bug (https://example.test/1)]' },
    ]);
    const [ended] = await registered('2020-01-01', failing);
    await expect(ended!.body!()).rejects.toThrow('its waiver ended on 2020-01-01');
    const [fine] = await registered('2999-12-31', passing);
    expect(fine!.name).toBe('LSE-01 a test');
    await fine!.body!();
  });

  it('that has ended is a failure, and one of a scenario that passes changes nothing', async () => {
    const late = await runConformance({ ...memory, waivers: waiverUntil('2020-01-01') }, { scenarios: [failing] });
    expect(late.scenarios[0]).toMatchObject({ status: 'fail', reason: expect.stringContaining('its waiver ended') });
    const passing = { ...failing, run: async (t) => t.ok(true, 'fine') } as Scenario;
    const kept = await runConformance({ ...memory, waivers: waiverUntil('2999-12-31') }, { scenarios: [passing] });
    expect(kept.scenarios[0]?.status).toBe('pass');
  });
});
