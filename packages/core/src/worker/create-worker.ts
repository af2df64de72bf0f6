import { setMaxListeners } from 'node:events';
import type { Delivery, Session, SettleOp, SettleOutcome } from '../broker/session.ts';
import { useBroker } from '../broker-users.ts';
import { type Client, createClient } from '../client/create-client.ts';
import { AbortedError, ClosedError, ConfigurationError } from '../errors.ts';
import { HeartbeatThread, unsupported } from '../heartbeat-thread/heartbeat-thread.ts';
import type { StopRequest } from '../task.ts';
import { describeFailure } from './failure.ts';
import { Farewell, farewellMs } from './farewell.ts';
import type { Handler } from './handle.ts';
import { Lane, type LaneSupport } from './lane.ts';
import { runMaintenance } from './maintenance-loop.ts';
import { ReportBuffer } from './report-buffer.ts';
import { Runner } from './runner.ts';
import { Runs } from './runs.ts';
import { SessionKeeper } from './session-keeper.ts';
import { SettleBuffer } from './settle-buffer.ts';
import { type ShutdownReport, shutDown } from './shutdown.ts';
import { Slots } from './slots.ts';
import { type RunLimits, TaskRun } from './task-run.ts';
import { resolveWorkerOptions, type WorkerOptions } from './worker-options.ts';

/** A worker: claims tasks and runs handlers until it is stopped. */
export interface Worker extends AsyncDisposable {
  /** Opens the broker and a session, then claims. Resolves when it is ready. @throws ConfigurationError UnavailableError ClosedError */
  start(): Promise<void>;
  /**
   * Stops in phases: claims end and what was claimed ahead is handed back; running handlers may finish (`drain`);
   * then their signals abort (`grace`); what still runs is handed back without it. Then the broker has 5 s in all to
   * take the outcomes; a forced stop waits for no handler and gives it 2 s. Safe to repeat and at any time.
   * @param options.force skip the waiting: abort now, and hand back at once.
   */
  stop(options?: { readonly force?: boolean }): Promise<ShutdownReport>;
  /** Runs under way. */
  readonly running: number;
  readonly instance: string;
}

/** Settles that may wait for an answer before claims pause. */
const congestion = 5_000;

/** Creates a worker; `start` it. @throws ValidationError naming the option */
export function createWorker(input: WorkerOptions): Worker {
  const options = resolveWorkerOptions(input);
  const { broker, clock, logger, instance } = options;
  const release = options.closeBroker ? useBroker(broker) : async () => {};
  const stopClaiming = new AbortController();
  const hurry = new AbortController();
  // Every lane listens: with more than ten, Node would warn of a leak.
  setMaxListeners(0, stopClaiming.signal);
  const runs = new Runs();
  const lanes: Lane[] = [];
  const slots = new Slots<Lane>(clock, options.concurrency, () => runs.size);
  const laneOf = new Map<string, Lane>();
  const loops: Promise<void>[] = [];
  let client: Client<unknown> | undefined;
  let thread: HeartbeatThread | undefined;
  let starting: Promise<void> | undefined;
  let stopping: Promise<ShutdownReport> | undefined;
  let markLastAttempts = false;
  let limits: RunLimits = { payloadBytes: Number.POSITIVE_INFINITY, delayMs: Number.POSITIVE_INFINITY };

  const settles = new SettleBuffer(
    clock,
    (operation, outcome) => {
      if (outcome !== 'applied') reportUnsettled(operation, outcome);
      if (settles.pending < congestion / 2) for (const lane of lanes) lane.wake();
    },
    failInstead,
  );
  const reports = new ReportBuffer(clock, (error) => logger.warn({ error }, 'cannot report progress'));
  const support = {
    clock,
    logger,
    reports,
    limits: () => limits,
    client: () => (client ??= createClient({ broker, clock, closeBroker: false })),
  };
  const runner = new Runner({
    ...support,
    instance,
    settles,
    middleware: options.middleware,
    random: options.random,
    onEnded: (run) => {
      runs.delete(run);
      laneOf.get(run.name)?.finished(clock.monotonic() - run.startedAt);
      slots.share();
    },
  });
  const keeper = new SessionKeeper({
    broker,
    clock,
    logger,
    stop: stopClaiming.signal,
    thread: () => thread,
    session: {
      instance,
      host: options.host,
      ttlMs: options.sessionTtlMs,
      onSignal: ({ taskId, fence, request }) => {
        const run = runs.find(taskId, fence);
        if (run === undefined) return withdraw(taskId, fence, request);
        if (run.requested !== undefined) return;
        run.requested = request;
        run.abort(new AbortedError(stopReasons[request], `a ${request} of the task was requested`, { op: 'run' }));
      },
    },
    onLost: (session) => {
      for (const lane of lanes) lane.drop(session);
      const mine = [...runs].filter((run) => run.session === session);
      logger.warn(
        { reason: session.lost.reason, running: mine.length },
        'the session was lost; its tasks go to others',
      );
      for (const run of mine) runner.lose(run, session.lost.reason);
    },
  });

  function reportUnsettled(operation: SettleOp, outcome: SettleOutcome): void {
    logger.warn(
      { taskId: operation.lease.taskId, attempt: operation.lease.attempt, operation: operation.type, outcome },
      'the outcome of a run was not taken: the task had been given to somebody else or ended',
    );
  }

  /** A broker that does not take this outcome must not keep the task running for ever: it ends as failed. */
  function failInstead(operation: SettleOp, error: unknown): SettleOp | undefined {
    const { type, lease } = operation;
    // The end of the session hands it back.
    if (type === 'release') return undefined;
    logger.error({ taskId: lease.taskId, operation: type, error }, 'the broker refuses the outcome of a run; it fails');
    return {
      type: 'fail',
      lease,
      failure: describeFailure(error, type === 'complete' ? 'invalid' : 'error', instance),
    };
  }

  /** A stop of a task that was claimed ahead: it never begins. */
  function withdraw(taskId: string, fence: number, request: StopRequest): void {
    for (const lane of lanes) {
      const held = lane.withdraw(taskId, fence);
      if (held === undefined) continue;
      settles.add(held.session, { type: request === 'pause' ? 'pause' : 'cancel', lease: held.delivery.lease });
      lane.wake();
    }
  }

  function start(delivery: Delivery, session: Session, handler: Handler): void {
    const run = new TaskRun(delivery, session, handler, support);
    runs.add(run);
    if (!markLastAttempts || run.attempt < run.maxAttempts) {
      runner.start(run);
      return;
    }
    // LSE-16: only a last attempt that began may be counted as lost when this process dies.
    void reports.send(session, { lease: delivery.lease, begun: true }).then((outcome) => {
      if (run.ended) return;
      if (outcome === 'stale') runner.lose(run, new AbortedError('removed', 'the task was taken away before it began'));
      else if (stopClaiming.signal.aborted || run.abortReason !== undefined) runner.skip(run);
      else runner.start(run);
    });
  }

  function createLanes(laneSupport: LaneSupport): void {
    const shared = options.handlers.filter((handler) => handler.concurrency === undefined);
    const groups = options.handlers.filter((handler) => handler.concurrency !== undefined).map((handler) => [handler]);
    if (shared.length > 0) groups.push(shared);
    for (const group of groups) {
      const queues = options.queues ?? [...new Set(group.map((handler) => handler.definition.queue))];
      const concurrency = Math.min(options.concurrency, group[0]?.concurrency ?? options.concurrency);
      const lane = new Lane(group, concurrency, queues, laneSupport);
      lanes.push(lane);
      slots.add(lane);
      for (const name of lane.handlers.keys()) laneOf.set(name, lane);
    }
  }

  async function open(): Promise<void> {
    const capabilities = await broker.open();
    markLastAttempts = capabilities.reports.begun;
    limits = { payloadBytes: capabilities.payload.maxBytes, delayMs: capabilities.delay.maxMs };
    if (stopClaiming.signal.aborted) return;
    await startHeartbeatThread();
    if (stopClaiming.signal.aborted) return;
    await keeper.current();
    const isWatched = await keeper.watched;
    if (stopClaiming.signal.aborted) return;
    if (!isWatched) {
      throw new ConfigurationError('the heartbeat thread does not find the session; its url leads to another backend', {
        op: 'start',
        option: 'heartbeatThread.url',
      });
    }
    createLanes({
      clock,
      logger,
      stop: stopClaiming.signal,
      session: () => keeper.current(),
      freeSlots: (lane) => slots.freeFor(lane),
      isLooking: (lane) => slots.isLooking(lane),
      looked: (lane, found) => slots.looked(lane, found),
      departure: () => settles.departure(),
      isCongested: () => settles.pending >= congestion,
      start,
      release: (delivery, session) => settles.add(session, { type: 'release', lease: delivery.lease }),
      marksLastAttempts: markLastAttempts,
      maxClaim: capabilities.batch.maxClaim,
      prefetch: options.prefetch,
    });
    for (const lane of lanes) loops.push(lane.run());
    if (options.maintenanceMs !== false) {
      const intervalMs = options.maintenanceMs ?? capabilities.session.sweepMs;
      const { random } = options;
      const maintain = (): Promise<void> =>
        runMaintenance({ broker, intervalMs, clock, logger, random, stop: stopClaiming.signal });
      // The first claims go first: there may be only one connection as yet.
      loops.push(new Promise<void>((resolve) => setImmediate(resolve)).then(maintain));
    }
  }

  async function startHeartbeatThread(): Promise<void> {
    const settings = options.heartbeatThread;
    if (settings === undefined || thread !== undefined) return;
    if (broker.beat === undefined) throw unsupported(`the ${broker.kind} broker cannot beat from a thread`);
    thread = await HeartbeatThread.start({ ...settings, clock, logger });
    if (stopClaiming.signal.aborted) await thread.close();
  }

  // Sockets and timers of an idle worker do not keep the process alive by themselves; a started worker should.
  let keepAlive: NodeJS.Timeout | undefined;

  async function stop(): Promise<ShutdownReport> {
    const count = settles.count();
    stopClaiming.abort();
    const begun = clock.monotonic();
    await new Farewell(clock, hurry.signal).wait(starting ?? Promise.resolve());
    const leftMs = farewellMs - (clock.monotonic() - begun);
    try {
      return await shutDown({
        runs,
        lanes,
        loops,
        runner,
        settles,
        count,
        reports,
        keeper,
        clock,
        hurried: hurry.signal,
        drainMs: options.drainMs,
        graceMs: options.graceMs,
        farewell: () => new Farewell(clock, hurry.signal, leftMs),
        leave,
      });
    } finally {
      clearInterval(keepAlive);
    }
  }

  async function leave(): Promise<void> {
    await thread?.close();
    await client?.close();
    await release().catch((error: unknown) => logger.warn({ error }, 'the broker did not close'));
  }

  return {
    instance,
    get running() {
      return runs.size;
    },
    start() {
      if (stopping !== undefined) {
        return Promise.reject(new ClosedError('this worker was stopped; create another one', { reason: 'closed' }));
      }
      keepAlive ??= setInterval(() => {}, 2 ** 30);
      starting ??= open().catch((error: unknown) => {
        starting = undefined;
        clearInterval(keepAlive);
        keepAlive = undefined;
        throw error;
      });
      return starting;
    },
    stop(stopOptions = {}) {
      stopping ??= stop();
      if (stopOptions.force === true) hurry.abort();
      return stopping;
    },
    async [Symbol.asyncDispose]() {
      await this.stop();
    },
  };
}

const stopReasons = { cancel: 'cancelled', pause: 'paused', remove: 'removed' } as const;
