import {
  checkHistory,
  type HistoryEvent,
  type HistoryReport,
  type Journal,
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
  type Duration,
  defineTask,
  fixed,
  handle,
  type Logger,
  type TaskDefinition,
  type TaskState,
} from '@millrace/core';
import { expect, onTestFinished } from 'vitest';
import { type RedisBrokerOptions, redisBroker } from '../src/index.ts';
import { until } from './support.ts';

/** What a load is made of. */
export interface LoadOptions {
  readonly broker: RedisBrokerOptions;
  readonly queues: readonly string[];
  /** How long a session may be silent. Default `'9s'`. */
  readonly sessionTtl?: Duration;
}

/** What became of it. */
export interface LoadResult {
  readonly report: HistoryReport;
  /** How many tasks that anybody asked for are in which state; `gone` for those that are not there. */
  readonly states: Readonly<Record<string, number>>;
  /** Tasks whose handler began more than once. */
  readonly ranTwice: number;
  /** Tasks of which more than one settle was applied. */
  readonly settledTwice: number;
}

interface Settle {
  readonly task: string;
  readonly queue: string;
  /** Microseconds of `process.hrtime`. */
  readonly at: number;
}

const concurrency = 10;
const runMs = 5;
const unfinished: readonly TaskState[] = ['pending', 'running', 'retrying', 'scheduled'];
/** What calls may say while a server is replaced. */
const expected = / (unknown|error:(UNAVAILABLE|INDETERMINATE|LEASE_LOST))$/;
const quiet = (): void => {};
const silent: Logger = { debug: quiet, info: quiet, warn: quiet, error: quiet };

/** Counts along what a journal is told. */
class Tally implements Journal {
  readonly queues = new Map<string, string>();
  readonly runs = new Map<string, number>();
  readonly settled: Settle[] = [];
  /** Calls that failed, and settles whose outcome stayed unknown for a while, by code. */
  readonly troubles = new Map<string, number>();
  readonly #settling = new Map<number, string>();

  append({ op, phase, task, queue, seq, call, outcome, t }: HistoryEvent): void {
    if (op === 'enqueue' && phase === 'invoke') this.queues.set(task as string, queue as string);
    else if (op === 'start') count(this.runs, task as string);
    else if (op === 'complete' && phase === 'invoke') this.#settling.set(seq, task as string);
    else if (op === 'complete' && outcome === 'applied') {
      const settled = this.#settling.get(call as number) as string;
      this.settled.push({ task: settled, queue: this.queues.get(settled) as string, at: t });
    }
    if (outcome?.startsWith('error:') === true || outcome === 'unknown') count(this.troubles, `${op} ${outcome}`);
  }
}

interface Parts {
  readonly events: readonly HistoryEvent[];
  readonly recorder: Recorder;
  readonly producer: Broker;
  readonly client: Client;
  readonly definitions: readonly TaskDefinition[];
  readonly stop: () => Promise<void>;
}

/** A producer and a worker with a broker each, and the history of both. */
export class RecordedLoad {
  readonly capabilities: Capabilities;
  readonly #tally: Tally;
  readonly #parts: Parts;

  private constructor(capabilities: Capabilities, tally: Tally, parts: Parts) {
    this.capabilities = capabilities;
    this.#tally = tally;
    this.#parts = parts;
  }

  static async start({ broker, queues, sessionTtl = '9s' }: LoadOptions): Promise<RecordedLoad> {
    const journal = memoryJournal();
    const tally = new Tally();
    const recorder = new Recorder({ journals: [journal, tally] });
    const producer = recordBroker(redisBroker(broker) as Broker, recorder, 'producer');
    const working = recordBroker(redisBroker(broker) as Broker, recorder, 'worker');
    const capabilities = await producer.open();
    const definitions = queues.map((queue) =>
      defineTask({ name: `count-${queue}`, queue, retry: fixed({ attempts: 20, delay: 0 }) }),
    );
    const work = async (): Promise<void> => new Promise((resolve) => setTimeout(resolve, runMs));
    const worker = createWorker({
      broker: working,
      concurrency,
      sessionTtl,
      logger: silent,
      middleware: [recorder.handlers('worker')],
      handlers: definitions.map((definition) => handle(definition, work)),
    });
    const client = createClient({ broker: producer, enqueueTimeout: '25s' });
    const stop = async (): Promise<void> => {
      await worker.stop();
      await client.close();
    };
    onTestFinished(stop);
    await worker.start();
    return new RecordedLoad(capabilities, tally, {
      events: journal.events,
      recorder,
      producer,
      client,
      definitions,
      stop,
    });
  }

  /** How many runs have been settled for certain, of one queue or of all. */
  settled(queue?: string): number {
    return this.#tally.settled.filter((settle) => queue === undefined || settle.queue === queue).length;
  }

  /** Calls that failed, and settles whose outcome stayed unknown for a while: how many, by call and code. */
  get troubles(): Readonly<Record<string, number>> {
    return Object.fromEntries(this.#tally.troubles);
  }

  /** Enqueues tasks, a few at a time, to the queues in turn. */
  async enqueue(total: number, size = 10): Promise<void> {
    const { client, definitions } = this.#parts;
    for (let from = 0, turn = 0; from < total; from += size, turn++) {
      const definition = definitions[turn % definitions.length] as TaskDefinition;
      const batch = Array.from({ length: Math.min(size, total - from) }, (_unused, index) => ({ input: from + index }));
      await client.enqueueMany(definition, batch);
    }
  }

  /** Milliseconds from a moment of `process.hrtime` to the next settle that was applied. */
  async untilSettledAfter(moment: bigint, queue?: string, withinMs = 20_000): Promise<number> {
    const after = Number(moment / 1_000n);
    const next = (): Settle | undefined =>
      this.#tally.settled.find((settle) => settle.at > after && (queue === undefined || settle.queue === queue));
    await until(() => next() !== undefined, 'the next settle', withinMs);
    return ((next() as Settle).at - after) / 1_000;
  }

  /** Waits until everything has ended, and judges the history. */
  async finish(withinMs = 25_000): Promise<LoadResult> {
    const { producer, recorder, events, stop } = this.#parts;
    const waiting = async (): Promise<number> =>
      producer.tasks?.count({ states: [...unfinished] }).catch(() => 1) ?? Promise.resolve(1);
    await until(async () => (await waiting()) === 0, 'everything at rest', withinMs);
    const states = new Map<string, number>();
    const ids = [...this.#tally.queues.keys()];
    const records = (await producer.tasks?.get(ids)) ?? [];
    for (const [index, task] of ids.entries()) {
      const state = records[index]?.state ?? 'gone';
      count(states, state);
      recorder.note('suite', 'final', { task, args: { state } });
    }
    await stop();
    const report = checkHistory(events, { capabilities: this.capabilities });
    expect(report.status, renderReport(report)).not.toBe('fail');
    const untyped = Object.keys(this.troubles).filter((trouble) => !expected.test(trouble));
    expect(untyped).toEqual([]);
    const { settled, runs } = this.#tally;
    return {
      report,
      states: Object.fromEntries(states),
      ranTwice: [...runs.values()].filter((times) => times > 1).length,
      settledTwice: settled.length - new Set(settled.map(({ task }) => task)).size,
    };
  }
}

function count(map: Map<string, number>, key: string): void {
  map.set(key, (map.get(key) ?? 0) + 1);
}
