import { hostname } from 'node:os';
import { type Channel, type ChannelModel, type ConfirmChannel, connect } from 'amqplib';
import { FrameWriter } from './frames.ts';
import type { TlsOptions } from './options.ts';
import { readServerFacts, type ServerFacts } from './server-facts.ts';
import { parseUrl } from './url.ts';

/** How connections are made. */
export interface ConnectionSettings {
  readonly url: string;
  readonly tls: TlsOptions;
  readonly timeoutMs: number;
}

/** What amqplib keeps of a connection without saying so in its types; read and stopped here, and nowhere else. */
interface Internals {
  readonly heartbeat: number;
  readonly heartbeater: { clear(): void } | null;
  readonly stream: { destroy(error?: Error): void };
}

/** The same of a channel: where its frames go, and who is told of confirms. */
interface ChannelInternals {
  readonly ch: number;
  readonly connection: {
    readonly frameMax: number;
    sentSinceLastCheck: boolean;
    readonly channels: readonly ({
      readonly channel: unknown;
      readonly buffer: { write(bytes: Buffer): void };
    } | null)[];
  };
  pushConfirmCallback(confirmed: (error: unknown) => void): void;
}

/** How long a close handshake may take before the socket is cut. */
const closeMs = 2_000;

/** A channel that takes frames that were made elsewhere. */
export interface RawPublishing {
  readonly frames: FrameWriter;
  /** Sends what `frames` has made of some messages. Each of `confirmed` is called once. @throws when the channel is over */
  readonly send: (bytes: Buffer, confirmed: readonly ((error: unknown) => void)[]) => void;
}

/** Publishes past amqplib's own encoder, behind everything else that was sent on the channel. */
export function rawPublishing(channel: ConfirmChannel): RawPublishing {
  const internals = channel as unknown as ChannelInternals;
  const { ch, connection } = internals;
  return {
    frames: new FrameWriter(ch, connection.frameMax),
    send(bytes, confirmed) {
      const place = connection.channels[ch];
      if (place?.channel !== channel) throw new Error('the channel is closed');
      connection.sentSinceLastCheck = true;
      place.buffer.write(bytes);
      for (const each of confirmed) internals.pushConfirmCallback(each);
    },
  };
}

/** One connection to the server. Never throws an event: whoever cares asks `ended`. */
export class AmqpConnection {
  readonly facts: ServerFacts;
  readonly #model: ChannelModel;
  readonly #endListeners: ((error: Error) => void)[] = [];
  #ended: Error | undefined;
  #problem: Error | undefined;
  #blocked = false;

  private constructor(model: ChannelModel) {
    this.#model = model;
    this.facts = readServerFacts(model.connection.serverProperties, this.#internals.heartbeat);
    model.on('error', (error) => {
      this.#problem = error;
    });
    model.on('close', (error) => this.#end(error ?? this.#problem ?? new Error('the connection was closed')));
    model.on('blocked', () => {
      this.#blocked = true;
    });
    model.on('unblocked', () => {
      this.#blocked = false;
    });
  }

  /** @param label what the connection is called at the server. Rejects with whatever amqplib says. */
  static async open(settings: ConnectionSettings, label: string, heartbeatSeconds: number): Promise<AmqpConnection> {
    const url = parseUrl(settings.url);
    url.search = '';
    url.searchParams.set('heartbeat', String(heartbeatSeconds));
    const model = await connect(url.href, {
      ...settings.tls,
      // Off by default in amqplib; without it a message above 2 KB takes 40 ms (Nagle and delayed acknowledgement).
      noDelay: true,
      timeout: settings.timeoutMs,
      clientProperties: { connection_name: `${label} ${hostname()}:${process.pid}` },
    });
    return new AmqpConnection(model);
  }

  get #internals(): Internals {
    return this.#model.connection as unknown as Internals;
  }

  /** The server takes no messages for now: it is short of memory or disk. */
  get blocked(): boolean {
    return this.#blocked;
  }

  /** Why the connection is over; `undefined` while it lives. */
  get ended(): Error | undefined {
    return this.#ended;
  }

  onEnd(listener: (error: Error) => void): void {
    if (this.#ended !== undefined) listener(this.#ended);
    else this.#endListeners.push(listener);
  }

  /**
   * Stops amqplib's own heartbeat timers: from now on the connection is as alive as the calls made on it. A session
   * beats on its own clock, so that the server sees what a stopped process would show it.
   */
  beatByCalls(): void {
    this.#internals.heartbeater?.clear();
  }

  /** A channel whose errors reach nobody by accident. `onEnd` gets why it is over. */
  async channel(onEnd: (error: Error | undefined) => void = () => {}): Promise<Channel> {
    return this.#watched(await this.#model.createChannel(), onEnd);
  }

  async confirmChannel(onEnd: (error: Error | undefined) => void = () => {}): Promise<ConfirmChannel> {
    return this.#watched(await this.#model.createConfirmChannel(), onEnd);
  }

  /** Says goodbye, and cuts the socket when nobody answers. Never rejects. */
  async close(): Promise<void> {
    if (this.#ended !== undefined) return;
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<void>((resolve) => {
      timer = setTimeout(resolve, closeMs);
    });
    await Promise.race([this.#model.close().catch(() => {}), late]);
    clearTimeout(timer);
    this.destroy(new Error('the connection was closed'));
  }

  /**
   * Cuts the socket. amqplib only notices when it is given an error: without one, calls under way would never end.
   */
  destroy(why: Error): void {
    this.beatByCalls();
    this.#internals.stream.destroy(why);
    this.#end(why);
  }

  #end(error: Error): void {
    if (this.#ended !== undefined) return;
    this.#ended = error;
    // After a heartbeat timeout amqplib leaves the socket half open, which would keep the process alive.
    this.#internals.stream.destroy();
    for (const listener of this.#endListeners.splice(0)) listener(error);
  }

  /** Why a channel is over is said by itself, or by the connection that ends with it. */
  #watched<C extends Channel>(channel: C, onEnd: (error: Error | undefined) => void): C {
    let problem: Error | undefined;
    channel.on('error', (error) => {
      problem = error;
    });
    channel.on('close', () => onEnd(problem ?? this.#problem));
    return channel;
  }
}
