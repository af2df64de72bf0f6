import { Socket } from 'node:net';
import { type Direction, type NetworkConditions, ProxyFlow } from './proxy-flow.ts';

/** How the proxy's faults reach one link. */
export interface LinkEnvironment {
  isBlocked(link: ProxyLink, direction: Direction): boolean;
  delay(link: ProxyLink): number;
  rate(link: ProxyLink): number | undefined;
  sent(link: ProxyLink, chunk: Buffer): void;
  /** How long to stay silent before the link is reset, when this reply must not reach the client. */
  cuts(link: ProxyLink, chunk: Buffer): number | undefined;
  wasCut(link: ProxyLink): void;
  moved(direction: Direction, bytes: number): void;
  closed(link: ProxyLink): void;
}

/** Bytes of requests kept per link, to tell what it is used for. */
const keptRequestBytes = 65_536;
/** How long a server may take to finish what it was asked before a link without a client is taken from it. */
const orphanMs = 5_000;
const nothing: Buffer = Buffer.alloc(0);

/** One connection of a client through the proxy. */
export class ProxyLink {
  /** 1 for the first link of its proxy, and so on. */
  readonly number: number;
  readonly openedAt: bigint = process.hrtime.bigint();
  readonly #environment: LinkEnvironment;
  readonly #client: Socket;
  readonly #server: Socket = new Socket({ allowHalfOpen: true });
  readonly #address: { readonly host: string; readonly port: number };
  readonly #requests: ProxyFlow;
  readonly #replies: ProxyFlow;
  #state: 'passing' | 'discarding' | 'closed' = 'passing';
  #dialled = false;
  #quietMs: number | undefined;
  #quietTimer: NodeJS.Timeout | undefined;
  #head: Buffer = nothing;
  #sentBytes = 0;
  #receivedBytes = 0;
  #requestBytesLeft: number | undefined;
  #onRequestBytesOver: () => void = () => {};

  constructor(
    number: number,
    client: Socket,
    address: { readonly host: string; readonly port: number },
    environment: LinkEnvironment,
  ) {
    this.number = number;
    this.#client = client;
    this.#address = address;
    this.#environment = environment;
    this.#requests = new ProxyFlow(
      client,
      this.#server,
      this.#conditions('out', (chunk) => this.#request(chunk)),
    );
    this.#replies = new ProxyFlow(
      this.#server,
      client,
      this.#conditions('in', (chunk) => this.#reply(chunk)),
    );
    for (const socket of [client, this.#server]) {
      socket.setNoDelay(true);
      // What it means for the other side is decided by `close`.
      socket.on('error', () => {});
      socket.on('close', () => {
        if (client.destroyed && this.#server.destroyed) this.#leave();
      });
    }
    this.wake();
  }

  /** Bytes the client sent that reached the server. */
  get sentBytes(): number {
    return this.#sentBytes;
  }

  /** Bytes of the server that reached the client. */
  get receivedBytes(): number {
    return this.#receivedBytes;
  }

  get open(): boolean {
    return this.#state !== 'closed';
  }

  /**
   * Whether the client has sent this text within its first 64 KiB: tells a link that listens (`LISTEN`, `subscribe`)
   * from one that works.
   */
  hasSent(text: string): boolean {
    return this.#head.includes(text);
  }

  /** Takes the link down on both sides at once, with a TCP reset: what was on its way is lost. */
  sever(): void {
    if (this.#state === 'closed') return;
    this.#stop();
    for (const socket of [this.#client, this.#server]) {
      if (socket.connecting || socket.pending) socket.destroy();
      else socket.resetAndDestroy();
    }
    this.#leave();
  }

  /** Severs the link when this many more bytes of requests have reached the server. */
  severAfter(bytes: number, onSevered: () => void): void {
    this.#requestBytesLeft = bytes;
    this.#onRequestBytesOver = onSevered;
  }

  /** Looks again at the faults, because they may have changed. */
  wake(): void {
    if (this.#state === 'closed') return;
    // While requests are blocked, the first packet of a connection does not arrive either.
    if (!this.#dialled && !this.#environment.isBlocked(this, 'out')) {
      this.#dialled = true;
      this.#server.connect(this.#address);
    }
    this.#requests.wake();
    this.#replies.wake();
  }

  #conditions(direction: Direction, pass: (chunk: Buffer) => Buffer): NetworkConditions {
    const link = this;
    const environment = this.#environment;
    return {
      isBlocked: () => environment.isBlocked(link, direction),
      delay: () => environment.delay(link),
      get rate() {
        return environment.rate(link);
      },
      pass,
    };
  }

  #request(chunk: Buffer): Buffer {
    // The reply is being cut: what the client sends now must not have an effect that it could not see.
    if (this.#state !== 'passing') return nothing;
    let passed = chunk;
    if (this.#requestBytesLeft !== undefined) {
      passed = chunk.subarray(0, this.#requestBytesLeft);
      this.#requestBytesLeft -= passed.length;
    }
    if (this.#head.length < keptRequestBytes) this.#head = Buffer.concat([this.#head, passed]);
    this.#sentBytes += passed.length;
    this.#environment.moved('out', passed.length);
    this.#environment.sent(this, passed);
    if (this.#requestBytesLeft === 0) {
      setImmediate(() => {
        if (this.#abandon()) this.#onRequestBytesOver();
      });
    }
    return passed;
  }

  #reply(chunk: Buffer): Buffer {
    const quietMs = this.#state === 'passing' ? this.#environment.cuts(this, chunk) : this.#quietMs;
    if (quietMs === undefined) {
      this.#receivedBytes += chunk.length;
      this.#environment.moved('in', chunk.length);
      return chunk;
    }
    this.#state = 'discarding';
    this.#quietMs = quietMs;
    clearTimeout(this.#quietTimer);
    this.#quietTimer = setTimeout(() => this.#abandon(), quietMs);
    return nothing;
  }

  /** Resets the client's side and lets the server finish: it still has what was sent to it, and reads an end after it. */
  #abandon(): boolean {
    if (this.#state === 'closed') return false;
    this.#stop();
    this.#client.resetAndDestroy();
    this.#server.end();
    // What it still answers is read and dropped, or it would hang on a full buffer.
    this.#server.resume();
    setTimeout(() => this.#server.destroy(), orphanMs).unref();
    this.#leave();
    return true;
  }

  #stop(): void {
    clearTimeout(this.#quietTimer);
    this.#requests.stop();
    this.#replies.stop();
  }

  #leave(): void {
    if (this.#state === 'closed') return;
    const wasCut = this.#state === 'discarding';
    this.#state = 'closed';
    this.#stop();
    this.#environment.closed(this);
    if (wasCut) this.#environment.wasCut(this);
  }
}
