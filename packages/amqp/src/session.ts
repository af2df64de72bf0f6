import { randomBytes } from 'node:crypto';
import {
  type Capabilities,
  type ClaimRequest,
  ClosedError,
  type Delivery,
  isMillraceError,
  type Session,
  type SessionOptions,
  type SettleOp,
  type SettleOutcome,
  type TaskReport,
} from '@millrace/core';
import {
  checkClaimRequest,
  type Heartbeat,
  reconnectDelay,
  sleep,
  startHeartbeat,
  withDeadline,
} from '@millrace/core/adapter';
import type { Channel } from 'amqplib';
import type { Carrier } from './carrier.ts';
import { AmqpConnection, type ConnectionSettings } from './connection.ts';
import { explainConnect, explainRefusal, unavailable } from './errors.ts';
import { Intake } from './intake.ts';
import type { Memory } from './memory.ts';
import type { AmqpSettings } from './options.ts';
import type { Publisher } from './publisher.ts';
import { Renewal } from './renewal.ts';
import { reportTasks, settleTasks } from './settle.ts';
import type { Topology } from './topology.ts';

/** What a session needs of the broker it belongs to. */
export interface SessionOwner {
  readonly settings: AmqpSettings;
  readonly connection: ConnectionSettings;
  readonly topology: Topology;
  readonly carrier: Carrier;
  readonly memory: Memory;
  readonly publisher: Publisher;
  readonly requireOpen: (op: string) => Capabilities;
  readonly onEnd: (session: AmqpSession) => void;
}

/** RabbitMQ ends a connection two to three heartbeats after the last byte. */
const certainBeats = 2;
const possibleBeats = 3;

/** The shortest time to live: three heartbeats of the shortest length. */
export const shortestTtlMs: number = possibleBeats * 1_000;

/** The longest time to live with the heartbeat the server allows, 0 being any. */
export function longestTtlMs(heartbeatSeconds: number): number {
  return possibleBeats * 1_000 * (heartbeatSeconds === 0 ? 28_800 : heartbeatSeconds);
}

/**
 * A session is a connection: the server gives its tasks to others when it ends. The server notices after two to three
 * heartbeats without a byte; the holder trusts it for less than two since the last answer, so it stops first.
 */
export class AmqpSession implements Session {
  readonly id: string;
  readonly lost: AbortSignal;
  readonly #owner: SessionOwner;
  readonly #label: string;
  #live: AmqpConnection | undefined;
  #connecting: Promise<AmqpConnection> | undefined;
  readonly #heartbeat: Heartbeat;
  readonly #intake: Intake;
  readonly #renewal: Renewal | undefined;
  #pulse: Promise<Channel> | undefined;
  #ending: Promise<void> | undefined;

  private constructor(owner: SessionOwner, options: SessionOptions, id: string, connection: AmqpConnection) {
    const { settings, topology, carrier, memory } = owner;
    this.id = id;
    this.#owner = owner;
    this.#label = labelOf(owner, options);
    this.#heartbeat = startHeartbeat({
      clock: settings.clock,
      adapter: 'amqp',
      ttlMs: certainBeats * 1_000 * connection.facts.heartbeatSeconds,
      beat: () => this.#beat(),
    });
    this.lost = this.#heartbeat.lost;
    this.#intake = new Intake({
      sessionId: id,
      worker: `${options.instance}@${options.host}`,
      topology,
      carrier,
      memory,
      clock: settings.clock,
      openChannel: async (onEnd) => (await this.#connection()).channel(onEnd),
      // The server has given everything back before we can know.
      onLost: (why) => this.#heartbeat.declareLost(why),
    });
    // Where a queue can have its own limit it has none to speak of.
    this.#renewal = connection.facts.consumerTimeoutPerQueue
      ? undefined
      : new Renewal({
          sessionId: id,
          topology,
          publisher: owner.publisher,
          clock: settings.clock,
          timeoutMs: settings.consumerTimeoutMs,
          heldTasks: () => this.#intake.heldTasks(),
        });
    this.#watch(connection);
    this.lost.addEventListener(
      'abort',
      () => {
        this.#renewal?.stop();
        this.#intake.abandon();
        this.#live?.destroy(new Error('the session was lost'));
      },
      { once: true },
    );
  }

  /** @throws UnavailableError ConfigurationError */
  static async open(owner: SessionOwner, options: SessionOptions): Promise<AmqpSession> {
    const id = randomBytes(12).toString('base64url');
    const heartbeatSeconds = Math.floor(options.ttlMs / possibleBeats / 1_000);
    try {
      const connection = await AmqpConnection.open(owner.connection, labelOf(owner, options), heartbeatSeconds);
      return new AmqpSession(owner, options, id, connection);
    } catch (error) {
      throw explainConnect('openSession', error, owner.connection.url);
    }
  }

  async claim(request: ClaimRequest): Promise<Delivery[]> {
    checkClaimRequest(request, this.#requireRunning('session.claim'));
    if (this.lost.aborted) throw this.lost.reason;
    const { settings } = this.#owner;
    let deliveries: Delivery[];
    try {
      const late = (): Error => {
        this.#heartbeat.declareLost('the server did not answer a claim in time');
        return unavailable('session.claim', 'the server did not answer in time');
      };
      const limitMs = request.waitMs + 2 * settings.operationTimeoutMs;
      deliveries = await withDeadline(this.#intake.claim(request), limitMs, late, settings.clock);
    } catch (error) {
      if (this.lost.aborted) throw this.lost.reason;
      if (this.#ending !== undefined) return [];
      throw isMillraceError(error) ? error : explainRefusal('session.claim', error, 'a queue');
    }
    if (this.lost.aborted) throw this.lost.reason;
    // Ending gives back what came in the meantime.
    return this.#ending === undefined ? deliveries : [];
  }

  async report(reports: readonly TaskReport[]): Promise<SettleOutcome[]> {
    if (this.#isOver) return reports.map(() => 'stale');
    return reportTasks(this.#intake, reports);
  }

  async settle(operations: readonly SettleOp[]): Promise<SettleOutcome[]> {
    if (this.#isOver) return operations.map(() => 'stale');
    const { settings, carrier, memory, requireOpen } = this.#owner;
    const { maxMs } = requireOpen('session.settle').delay;
    const context = { intake: this.#intake, carrier, memory, now: () => settings.clock.now(), longestDelayMs: maxMs };
    const late = (): Error => new Error('late');
    try {
      const work = settleTasks(context, operations);
      return await withDeadline(work, 3 * settings.operationTimeoutMs, late, settings.clock);
    } catch (error) {
      if (isMillraceError(error)) throw error;
      this.#heartbeat.declareLost('the server did not answer a settle in time');
      return operations.map(() => 'unknown');
    }
  }

  end(): Promise<void> {
    this.#ending ??= this.#end();
    return this.#ending;
  }

  get #isOver(): boolean {
    return this.lost.aborted || this.#ending !== undefined;
  }

  async #beat(): Promise<'alive' | 'lost'> {
    const connection = await this.#connection();
    this.#pulse ??= connection.channel();
    const pulse = await this.#pulse;
    await pulse.prefetch(1);
    // Trust is a part of the time to live here: on a slow network the next beat must not wait for a third of it.
    const { clock } = this.#owner.settings;
    clock.setTimer(() => this.#heartbeat.hurry(), (certainBeats * 1_000 * connection.facts.heartbeatSeconds) / 9);
    return 'alive';
  }

  /**
   * A connection that ends takes what was held with it. When nothing was, the session goes on with another one, as
   * long as it may trust itself.
   */
  #watch(connection: AmqpConnection): void {
    this.#live = connection;
    connection.beatByCalls();
    connection.onEnd(() => {
      this.#live = undefined;
      this.#pulse = undefined;
      // The lines have said by now whether anything was out.
      if (this.#isOver) return;
      this.#connecting = this.#reconnect(connection.facts.heartbeatSeconds);
      this.#connecting.catch(() => {});
    });
  }

  #connection(): Promise<AmqpConnection> {
    if (this.#live !== undefined) return Promise.resolve(this.#live);
    return this.#connecting ?? Promise.reject(unavailable('session', 'the session is over'));
  }

  async #reconnect(heartbeatSeconds: number): Promise<AmqpConnection> {
    const {
      connection: settings,
      settings: { clock },
    } = this.#owner;
    for (let attempt = 1; !this.#isOver; attempt++) {
      try {
        const connection = await AmqpConnection.open(settings, this.#label, heartbeatSeconds);
        if (this.#isOver) {
          connection.destroy(new Error('the session is over'));
          break;
        }
        this.#watch(connection);
        this.#heartbeat.hurry();
        return connection;
      } catch {
        await sleep(reconnectDelay(attempt), this.lost, clock);
      }
    }
    throw unavailable('session', 'the session is over');
  }

  async #end(): Promise<void> {
    const { settings, onEnd } = this.#owner;
    try {
      if (!this.lost.aborted) {
        const late = (): Error => new Error('late');
        const gaveBack = await withDeadline(this.#giveBack(), settings.operationTimeoutMs, late, settings.clock);
        if (!gaveBack) throw new Error('late');
      }
    } catch {
      // What it held goes back with the connection, and is charged: that is no end, but a loss.
      this.#heartbeat.declareLost('its tasks could not be handed back');
    } finally {
      this.#heartbeat.stop();
      this.#renewal?.stop();
      this.#intake.abandon();
      await this.#live?.close();
      onEnd(this);
    }
  }

  async #giveBack(): Promise<boolean> {
    do {
      if (!(await this.#intake.giveBack('session.end', await this.#intake.end()))) return false;
      // Acknowledging many may have had one more sent.
    } while (!this.#intake.isAtRest);
    return true;
  }

  #requireRunning(op: string): Capabilities {
    const capabilities = this.#owner.requireOpen(op);
    if (this.#ending === undefined) return capabilities;
    throw new ClosedError(`${op}: this session has ended`, { op, adapter: 'amqp', reason: 'closed' });
  }
}

/** What the connection is called at the server. */
function labelOf({ settings }: SessionOwner, { instance }: SessionOptions): string {
  return `millrace ${settings.namespace} session ${instance.slice(0, 80)}`;
}
