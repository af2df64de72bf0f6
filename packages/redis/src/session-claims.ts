import { type ClaimRequest, type Delivery, isMillraceError, type StopRequest } from '@millrace/core';
import { type Claimant, type Claimed, claimFromQueue, findStrays, lookInQueue, planClaims } from './claim.ts';

/** What a session knows of a task it holds. */
export interface HeldTask {
  readonly fence: number;
  readonly queue: string;
  /** The last stop the holder was told of. */
  told?: StopRequest;
}

/** Most tasks taken by one script: others wait while it runs. */
const mostInScript = 500;

/** Takes tasks for a session and keeps track of what it has, also when an answer to a claim gets lost. */
export class SessionClaims {
  /** What was given to the holder and is not known to be settled. */
  readonly held: Map<string, HeldTask> = new Map();
  /** Queues that know the session. */
  readonly joined: Set<string> = new Set();
  /** Queues in which a claim was not answered: tasks may be ours there without anybody knowing. */
  readonly #uncertain = new Set<string>();
  readonly #claimant: Claimant;
  /** Scripts that may be giving us tasks right now, by queue. */
  readonly #sending = new Map<string, Set<Promise<unknown>>>();
  /** Found again after the answer to a claim was lost; handed out by the next claims. */
  readonly #recovered: Delivery[] = [];
  readonly #served = new Map<string, number>();
  #turn = 0;
  #recovering: Promise<void> | undefined;

  constructor(claimant: Claimant) {
    this.#claimant = claimant;
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
      await this.recover();
      return { deliveries: this.#recovered.splice(0, request.limit), inMs: undefined };
    }
  }

  /** Looks for what answers that got lost were about. @throws UnavailableError */
  async recover(): Promise<void> {
    if (this.#uncertain.size === 0) return;
    this.#recovering ??= this.#recoverAll().finally(() => {
      this.#recovering = undefined;
    });
    await this.#recovering;
  }

  /** A queue holds more for this session than it knows of. */
  suspect(queue: string): void {
    this.#uncertain.add(queue);
  }

  /** What was found again and nobody has asked for. */
  takeRecovered(): readonly Delivery[] {
    return this.#recovered.splice(0);
  }

  /** How many tasks the session knows of in a queue, or `undefined` while a claim there is under way. */
  countKnown(queue: string): number | undefined {
    if ((this.#sending.get(queue)?.size ?? 0) > 0) return undefined;
    let count = 0;
    for (const held of this.held.values()) if (held.queue === queue) count += 1;
    return count;
  }

  async #takeFromSeveral(queues: readonly string[], request: ClaimRequest, sleepMs: number): Promise<Claimed | 'lost'> {
    const looks = await Promise.all(queues.map((queue) => lookInQueue(this.#claimant, queue, request.names, sleepMs)));
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
    const sending = this.#sending.get(queue) ?? new Set();
    this.#sending.set(queue, sending);
    sending.add(work);
    try {
      const claimed = await work;
      if (claimed === 'lost') return 'lost';
      this.joined.add(queue);
      this.#remember(claimed.deliveries);
      if (claimed.deliveries.length > 0) this.#served.set(queue, ++this.#turn);
      return claimed;
    } catch (error) {
      if (isMillraceError(error, 'INDETERMINATE')) this.#uncertain.add(queue);
      throw error;
    } finally {
      sending.delete(work);
    }
  }

  async #recoverAll(): Promise<void> {
    for (const queue of [...this.#uncertain]) {
      // What these bring is not lost.
      await Promise.allSettled([...(this.#sending.get(queue) ?? [])]);
      const known = [...this.held].flatMap(([id, held]) => (held.queue === queue ? [id] : []));
      const strays = await findStrays(this.#claimant, queue, known);
      if (strays.length > 0) this.joined.add(queue);
      this.#remember(strays);
      this.#recovered.push(...strays);
      this.#uncertain.delete(queue);
    }
  }

  #remember(deliveries: readonly Delivery[]): void {
    for (const { lease, queue } of deliveries) this.held.set(lease.taskId, { fence: lease.fence, queue });
  }
}
