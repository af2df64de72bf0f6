import {
  type ClaimRequest,
  type ClaimVerdict,
  type Clock,
  type Delivery,
  isMillraceError,
  type StopRequest,
} from '@millrace/core';
import { Underway, withDeadline } from '@millrace/core/adapter';
import { type Claimant, type Claimed, claimByIds, claimFromQueue, findStrays, planClaims } from './claim.ts';
import { DeadlineError, explainFailure } from './errors.ts';
import type { Locator } from './locator.ts';
import { QueueLooks } from './queue-looks.ts';

/** What a session knows of a task it holds. */
export interface HeldTask {
  readonly fence: number;
  readonly queue: string;
  /** The last stop the holder was told of. */
  told?: StopRequest;
}

/** How long a claim may ask the server. */
export interface ClaimTime {
  readonly clock: Clock;
  readonly operationTimeoutMs: number;
}

/** Timers count whole milliseconds: one may fire in the last before its time. */
function isOver(leftMs: number): boolean {
  return leftMs < 1;
}

/** Most tasks taken by one script: others wait while it runs. */
const mostInScript = 250;
/** A map whose entries come and go is made anew after so many: see `Underway` for what its former tables keep. */
const renewAfter = 1_000;
/** Fences kept of tasks that were found again. */
const mostFound = 1_000;

/** Takes tasks for a session and keeps track of what it has, also when an answer to a claim gets lost. */
export class SessionClaims {
  /** See `held`. */
  #held = new Map<string, HeldTask>();
  #renewIn = renewAfter;
  /** Queues that know the session. */
  readonly joined: Set<string> = new Set();
  /** Queues in which a claim was not answered: tasks may be ours there without anybody knowing. */
  readonly #uncertain = new Set<string>();
  readonly #claimant: Claimant;
  readonly #locator: Locator;
  readonly #looks: QueueLooks;
  readonly #time: ClaimTime;
  /** Scripts that may be giving us tasks right now, by queue. */
  readonly #sending = new Map<string, Underway<Promise<unknown>>>();
  /** Found again after the answer to a claim was lost; handed out by the next claims, or given back. */
  readonly #recovered: Delivery[] = [];
  /** Fences of the latest of them: the message that gave one may still come. */
  readonly #found = new Set<number>();
  readonly #served = new Map<string, number>();
  #turn = 0;
  readonly #recovering = new Map<string, Promise<void>>();

  constructor(claimant: Claimant, locator: Locator, time: ClaimTime) {
    this.#claimant = claimant;
    this.#locator = locator;
    this.#looks = new QueueLooks(claimant);
    this.#time = time;
  }

  /** What was given to the holder and is not known to be settled. After a claim it may be another one. */
  get held(): Map<string, HeldTask> {
    return this.#held;
  }

  /** Every queue in which the session may be known. */
  get queues(): readonly string[] {
    return [...new Set([...this.joined, ...this.#uncertain])];
  }

  /** Claims without waiting. `sleepMs`: how long the caller will sleep if there is nothing. */
  async take(request: ClaimRequest, sleepMs: number): Promise<Claimed | 'lost'> {
    await this.recover();
    if (this.#recovered.length > 0) {
      return { deliveries: this.#recovered.splice(0, request.limit), inMs: undefined };
    }
    const queues = [...new Set(request.queues)];
    const [only] = queues;
    try {
      return await (queues.length === 1 && only !== undefined
        ? this.#claim(only, request, { limit: request.limit, lowestPriority: 0, sleepMs })
        : this.#takeFromSeveral(queues, request, sleepMs));
    } catch (error) {
      if (!isMillraceError(error, 'INDETERMINATE')) throw error;
      await this.recover().catch(() => {
        // Tasks may be ours, whatever became of the question which.
        throw error;
      });
      return { deliveries: this.#recovered.splice(0, request.limit), inMs: undefined };
    }
  }

  /** Looks for what answers that got lost were about. @throws UnavailableError */
  async recover(): Promise<void> {
    await Promise.all([...this.#uncertain].map((queue) => this.#recoverQueue(queue)));
  }

  /** Claims these tasks, wherever they are. Verdicts in the order given; `lost` when the session is over. */
  async takeThese(ids: readonly string[]): Promise<ClaimVerdict[] | 'lost'> {
    const { clock, operationTimeoutMs } = this.#time;
    const until = clock.monotonic() + operationTimeoutMs;
    const verdicts = new Map<string, ClaimVerdict>();
    this.#handOut(ids, verdicts);
    let failure: unknown;
    let isLost = false;
    const ask = async (queue: string, wanted: readonly string[]): Promise<(ClaimVerdict | undefined)[]> => {
      try {
        isLost ||= !(await this.#claimThese(queue, wanted, verdicts, until));
      } catch (error) {
        // Another queue may have what is asked for; and what others give must not be lost with this one.
        failure ??= error;
      }
      return wanted.map((id) => verdicts.get(id));
    };
    // What is not well formed would be sent as something else.
    const open = ids.filter((id) => id.isWellFormed() && !verdicts.has(id));
    try {
      const givesUp = (): boolean => isLost || (failure !== undefined && isOver(until - clock.monotonic()));
      if (open.length > 0) await this.#locator.ask(open, 'session.claimTasks', ask, givesUp);
      if (isLost) return 'lost';
      if (failure !== undefined && open.some((id) => !verdicts.has(id))) throw failure;
    } catch (error) {
      // What was given but cannot be handed out now.
      for (const verdict of verdicts.values()) if ('delivery' in verdict) this.#recovered.push(verdict.delivery);
      throw failure ?? error;
    }
    return ids.map((id) => verdicts.get(id) ?? { status: 'gone' });
  }

  /** Takes note of a task that came in a message. False when it was found before: then it may have been settled, too. */
  accept(delivery: Delivery): boolean {
    if (this.#found.has(delivery.lease.fence) || !this.#isNews(delivery)) return false;
    this.#remember([delivery]);
    return true;
  }

  /** A queue holds more for this session than it knows of. */
  suspect(queue: string): void {
    this.#uncertain.add(queue);
  }

  /** Finds out what lost answers were about, and takes it from what the next claims would get. */
  async takeStrays(): Promise<readonly Delivery[]> {
    await this.recover();
    return this.#recovered.splice(0);
  }

  /** They could not be given back: the next claims hand them out. */
  keepStrays(strays: readonly Delivery[]): void {
    this.#recovered.push(...strays);
  }

  /** How many tasks the session knows of in a queue, or `undefined` while a claim there is under way. */
  countKnown(queue: string): number | undefined {
    if ((this.#sending.get(queue)?.size ?? 0) > 0) return undefined;
    let count = 0;
    for (const held of this.held.values()) if (held.queue === queue) count += 1;
    return count;
  }

  async #takeFromSeveral(queues: readonly string[], request: ClaimRequest, sleepMs: number): Promise<Claimed | 'lost'> {
    const looks = await this.#looks.look(queues, request.names, sleepMs);
    const spans = looks.flatMap(({ inMs }) => inMs ?? []);
    const inMs = spans.length === 0 ? undefined : Math.min(...spans);
    if (looks.every(({ best }) => best < 0)) return { deliveries: [], inMs };
    const plans = planClaims(looks, request, (queue) => this.#served.get(queue) ?? 0);
    const claims = plans.map(({ queue, ...plan }) => this.#claim(queue, request, { ...plan, sleepMs: 0 }));
    const results = await Promise.allSettled(claims);
    const deliveries: Delivery[] = [];
    let failure: unknown;
    for (const result of results) {
      if (result.status === 'rejected') failure ??= result.reason;
      else if (result.value === 'lost') return 'lost';
      else deliveries.push(...result.value.deliveries);
    }
    // What was given must reach the caller, whatever became of the other queues.
    if (deliveries.length === 0 && failure !== undefined) throw failure;
    deliveries.sort((first, second) => second.priority - first.priority);
    return { deliveries, inMs: deliveries.length > 0 ? inMs : 0 };
  }

  async #claim(
    queue: string,
    { names }: ClaimRequest,
    plan: { readonly limit: number; readonly lowestPriority: number; readonly sleepMs: number },
  ): Promise<Claimed | 'lost'> {
    const joins = !this.joined.has(queue);
    const limit = Math.min(plan.limit, mostInScript);
    const work = claimFromQueue(this.#claimant, { queue, joins, names, ...plan, limit });
    const claimed = await this.#track(queue, work);
    if (claimed === 'lost') return 'lost';
    this.joined.add(queue);
    this.#remember(claimed.deliveries);
    if (claimed.deliveries.length > 0) this.#served.set(queue, ++this.#turn);
    return claimed;
  }

  /** Claims what a queue has of these tasks, and notes what it says of them. False when the session is over there. */
  async #claimThese(
    queue: string,
    ids: readonly string[],
    verdicts: Map<string, ClaimVerdict>,
    until: number,
  ): Promise<boolean> {
    const { clock } = this.#time;
    const leftMs = (): number => until - clock.monotonic();
    let unanswered: Error | undefined;
    for (let open = ids; ; ) {
      if (this.#uncertain.has(queue)) {
        const late = (): Error =>
          explainFailure(new DeadlineError(), { op: 'session.claimTasks', sent: false, writes: true }).error;
        await withDeadline(this.#recoverQueue(queue), Math.max(0, leftMs()), late, clock).catch((error: unknown) => {
          throw unanswered ?? error;
        });
      }
      this.#handOut(open, verdicts);
      open = open.filter((id) => !verdicts.has(id));
      if (open.length === 0) return true;
      const claim = { queue, joins: !this.joined.has(queue), ids: open };
      try {
        const answers = await this.#track(queue, claimByIds(this.#claimant, claim, Math.max(1, leftMs())));
        if (answers === 'lost') return false;
        for (const [id, answer] of answers) {
          if (answer.status === 'elsewhere') continue;
          if (answer.status === 'claimed' || answer.status === 'ours') this.joined.add(queue);
          if (answer.status !== 'ours') verdicts.set(id, answer);
          else if (this.held.has(id) || isOver(leftMs())) verdicts.set(id, { status: 'held' });
          // Given to us without our knowing: the answer that said so is gone, or this one is of a second time.
          else this.#uncertain.add(queue);
          if (answer.status === 'claimed') this.#remember([answer.delivery]);
        }
        open = open.filter((id) => answers.get(id)?.status !== 'elsewhere');
      } catch (error) {
        if (!isMillraceError(error, 'INDETERMINATE') || isOver(leftMs())) throw unanswered ?? error;
        unanswered = error;
      }
    }
  }

  /** Gives what was found again to whom asks for it. */
  #handOut(ids: readonly string[], verdicts: Map<string, ClaimVerdict>): void {
    if (this.#recovered.length === 0) return;
    const wanted = new Set(ids);
    for (const delivery of this.#recovered.splice(0)) {
      const { taskId } = delivery.lease;
      if (wanted.has(taskId)) verdicts.set(taskId, { status: 'claimed', delivery });
      else this.#recovered.push(delivery);
    }
  }

  async #track<T>(queue: string, work: Promise<T>): Promise<T> {
    const sending = this.#sending.get(queue) ?? new Underway();
    this.#sending.set(queue, sending);
    sending.add(work);
    try {
      return await work;
    } catch (error) {
      if (isMillraceError(error, 'INDETERMINATE')) this.#uncertain.add(queue);
      throw error;
    } finally {
      sending.delete(work);
    }
  }

  #recoverQueue(queue: string): Promise<void> {
    const under = this.#recovering.get(queue);
    if (under !== undefined) return under;
    const work = this.#findStrays(queue).finally(() => this.#recovering.delete(queue));
    this.#recovering.set(queue, work);
    return work;
  }

  async #findStrays(queue: string): Promise<void> {
    // What these bring is not lost.
    await Promise.allSettled([...(this.#sending.get(queue) ?? [])]);
    const known = [...this.held].flatMap(([id, held]) => (held.queue === queue ? [id] : []));
    const found = await findStrays(this.#claimant, queue, known);
    if (found.length > 0) this.joined.add(queue);
    // One that was given may have arrived since the server was asked.
    const strays = found.filter((stray) => this.#isNews(stray));
    this.#remember(strays);
    this.#recovered.push(...strays);
    for (const { lease } of strays) this.#found.add(lease.fence);
    for (const fence of this.#found) if (this.#found.size > mostFound) this.#found.delete(fence);
    this.#uncertain.delete(queue);
  }

  #isNews({ lease: { taskId, fence } }: Delivery): boolean {
    return (this.held.get(taskId)?.fence ?? -1) < fence;
  }

  #remember(deliveries: readonly Delivery[]): void {
    this.#renewIn -= deliveries.length;
    if (this.#renewIn < 0) {
      this.#held = new Map(this.#held);
      this.#renewIn = renewAfter + this.#held.size;
    }
    for (const { lease, queue } of deliveries) this.held.set(lease.taskId, { fence: lease.fence, queue });
  }
}
