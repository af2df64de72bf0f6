import { writeFileSync } from 'node:fs';
import {
  checkHistory,
  type HistoryEvent,
  type HistoryReport,
  memoryJournal,
  Recorder,
  recordBroker,
  renderReport,
} from '@millrace/conformance';
import {
  type Broker,
  type Capabilities,
  type Client,
  createClient,
  createWorker,
  defineTask,
  fixed,
  handle,
  type TaskState,
} from '@millrace/core';
import { expect, onTestFinished } from 'vitest';
import { type RedisBrokerOptions, redisBroker } from '../src/index.ts';
import { until } from './support.ts';

/** What a load is made of. */
export interface LoadOptions {
  readonly broker: RedisBrokerOptions;
  readonly queues: readonly string[];
  readonly concurrency?: number;
  /** How long a handler takes. */
  readonly runMs?: number;
}

/** What became of it. */
export interface LoadResult {
  readonly report: HistoryReport;
  /** Tasks by their state at the end; `gone` for what was enqueued and is not there. */
  readonly states: Readonly<Record<string, number>>;
  /** Tasks whose handler began more than once. */
  readonly ranTwice: number;
}

const unfinished: readonly TaskState[] = ['pending', 'running', 'retrying', 'scheduled'];

/** A producer and a worker with a broker each, and the history of both. */
export class RecordedLoad {
  readonly capabilities: Capabilities;
  readonly worker: Broker;
  readonly #producer: Broker;
  readonly #client: Client;
  readonly #events: readonly HistoryEvent[];
  readonly #recorder: Recorder;
  readonly #queues: readonly string[];
  readonly #stop: () => Promise<unknown>;

  private constructor(parts: {
    capabilities: Capabilities;
    producer: Broker;
    worker: Broker;
    client: Client;
    events: readonly HistoryEvent[];
    recorder: Recorder;
    queues: readonly string[];
    stop: () => Promise<unknown>;
  }) {
    this.capabilities = parts.capabilities;
    this.#producer = parts.producer;
    this.worker = parts.worker;
    this.#client = parts.client;
    this.#events = parts.events;
    this.#recorder = parts.recorder;
    this.#queues = parts.queues;
    this.#stop = parts.stop;
  }

  static async start({ broker, queues, concurrency = 10, runMs = 5 }: LoadOptions): Promise<RecordedLoad> {
    const journal = memoryJournal();
    const recorder = new Recorder({ journals: [journal] });
    const producer = recordBroker(redisBroker(broker) as Broker, recorder, 'producer');
    const working = recordBroker(redisBroker(broker) as Broker, recorder, 'worker');
    const capabilities = await producer.open();
    const worker = createWorker({
      broker: working,
      concurrency,
      sessionTtl: '4s',
      logger: silent,
      middleware: [recorder.handlers('worker')],
      handlers: queues.map((queue) =>
        handle(definitionOf(queue), async () => void (await new Promise((resolve) => setTimeout(resolve, runMs)))),
      ),
    });
    const client = createClient({ broker: producer, enqueueTimeout: '20s' });
    const stop = async (): Promise<void> => {
      await worker.stop();
      await client.close();
    };
    onTestFinished(stop);
    await worker.start();
    const { events } = journal;
    return new RecordedLoad({ capabilities, producer, worker: working, client, events, recorder, queues, stop });
  }

  /** How many runs have been settled for certain, of one queue or of all. */
  settled(queue?: string): number {
    return this.#applied(queue).length;
  }

  /** Enqueues tasks, a few at a time, to the queues in turn. */
  async enqueue(count: number, size = 10): Promise<void> {
    for (let from = 0, turn = 0; from < count; from += size, turn++) {
      const queue = this.#queues[turn % this.#queues.length] as string;
      const batch = Array.from({ length: Math.min(size, count - from) }, (_unused, index) => ({ input: from + index }));
      await this.#client.enqueueMany(definitionOf(queue), batch);
    }
  }

  /** Milliseconds from a moment of `process.hrtime` to the first settle that was asked for and applied after it. */
  async untilSettledAfter(at: bigint, queue?: string, withinMs = 20_000): Promise<number> {
    const after = Number(at / 1_000n);
    const next = (): number | undefined => this.#applied(queue).find((t) => t > after);
    await until(() => next() !== undefined, 'a settle after the failover', withinMs);
    return ((next() as number) - after) / 1_000;
  }

  /** Waits until everything has ended, and judges the history. */
  async finish(withinMs = 25_000): Promise<LoadResult> {
    const count = async (): Promise<number> =>
      (await this.#producer.tasks?.count({ states: [...unfinished] }).catch(() => 1)) ?? 1;
    await until(async () => (await count()) === 0, 'everything at rest', withinMs);
    const ids = [...new Set(this.#events.flatMap(({ op, task }) => (op === 'enqueue' && task ? [task] : [])))];
    const states: Record<string, number> = {};
    for (let from = 0; from < ids.length; from += 250) {
      const part = ids.slice(from, from + 250);
      const records = (await this.#producer.tasks?.get(part)) ?? [];
      for (const [index, task] of part.entries()) {
        const state = records[index]?.state ?? 'gone';
        states[state] = (states[state] ?? 0) + 1;
        this.#recorder.note('suite', 'final', { task, args: { state } });
      }
    }
    await this.#stop();
    const report = checkHistory(this.#events, { capabilities: this.capabilities, deadlineMs: 12_000 });
    expect(report.status, renderReport(report)).not.toBe('fail');
    return { report, states, ranTwice: this.#ranTwice() };
  }

  /** Outcomes that were errors, by call and code. */
  errors(): Readonly<Record<string, number>> {
    const found: Record<string, number> = {};
    for (const { op, outcome } of this.#events) {
      if (outcome?.startsWith('error:') !== true && outcome !== 'unknown') continue;
      const name = `${op} ${outcome}`;
      found[name] = (found[name] ?? 0) + 1;
    }
    return found;
  }

  dump(from: bigint): void {
    const t0 = Number(from / 1_000n);
    const lines = this.#events.map((e) =>
      JSON.stringify({ ms: (e.t - t0) / 1000, ...e, t: undefined, v: undefined, pid: undefined }),
    );
    writeFileSync('/tmp/sentinel-dump.ndjson', lines.join('\n'));
  }

  #applied(queue?: string): number[] {
    return this.#events.flatMap((event) =>
      event.op === 'complete' && event.outcome === 'applied' && (queue === undefined || event.queue === queue)
        ? [event.t]
        : [],
    );
  }

  #ranTwice(): number {
    const runs = new Map<string, number>();
    for (const { op, task } of this.#events) {
      if (op === 'start' && task !== undefined) runs.set(task, (runs.get(task) ?? 0) + 1);
    }
    return [...runs.values()].filter((count) => count > 1).length;
  }
}

const quiet = (): void => {};
const silent = { debug: quiet, info: quiet, warn: quiet, error: quiet };

function definitionOf(queue: string) {
  return defineTask({ name: `count-${queue}`, queue, retry: fixed({ attempts: 20, delay: 0 }) });
}
