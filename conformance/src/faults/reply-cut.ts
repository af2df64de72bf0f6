import type { ProxyLink } from './proxy-link.ts';

/** Chooses links. */
export type LinkFilter = (link: ProxyLink) => boolean;

/** Which reply is cut. */
export interface CutReplyOptions {
  /** The n-th reply on the links chosen, counted from now. Default 1: the next. */
  readonly nth?: number;
  /** Default: all links. */
  readonly links?: LinkFilter;
  /**
   * Only replies to requests of which this is true. It sees what the client sent since the last reply on that link, so
   * that a request in several messages (Postgres' Parse, Bind, Execute, Sync) is seen whole. Default: any request.
   */
  readonly matching?: (request: Buffer, link: ProxyLink) => boolean;
  /** Chunks, of either side, that are neither request nor reply. Default: AMQP's heartbeat frame. */
  readonly ignoring?: (chunk: Buffer) => boolean;
  /**
   * The link is reset when the server has been silent for this long after it began to reply: a server that notices
   * earlier that nobody listens may give up what it was asked to do. Default 25.
   */
  readonly quietMs?: number;
}

/** An armed cut. */
export interface ReplyCut {
  /** Replies seen on the links chosen, the one that was cut included. */
  readonly replies: number;
  /** Whether a reply was cut. */
  readonly fired: boolean;
  /** Resolves when the link has been reset. */
  readonly done: Promise<ProxyLink>;
  /** Cuts nothing any more, unless it has begun to. */
  disarm(): void;
}

/** A frame of type 8 on channel 0 without a payload. */
const amqpHeartbeat: Buffer = Buffer.from([8, 0, 0, 0, 0, 0, 0, 0xce]);
/** What is kept of one request for `matching`. */
const longestRequest = 65_536;
const nothing: Buffer = Buffer.alloc(0);

/** Watches requests and replies, and says which reply must not reach its client. */
export class ReplyWatch implements ReplyCut {
  readonly done: Promise<ProxyLink>;
  readonly quietMs: number;
  readonly #options: CutReplyOptions;
  readonly #ignoring: (chunk: Buffer) => boolean;
  readonly #onDisarm: () => void;
  /** Links with a request on its way, and that request. */
  readonly #asked = new Map<ProxyLink, Buffer>();
  #finish: (link: ProxyLink) => void = () => {};
  #replies = 0;
  #chosen: ProxyLink | undefined;
  #disarmed = false;

  constructor(options: CutReplyOptions, onDisarm: () => void) {
    this.#options = options;
    this.#onDisarm = onDisarm;
    this.quietMs = options.quietMs ?? 25;
    this.#ignoring = options.ignoring ?? ((chunk) => chunk.equals(amqpHeartbeat));
    this.done = new Promise((resolve) => {
      this.#finish = resolve;
    });
  }

  get replies(): number {
    return this.#replies;
  }

  get fired(): boolean {
    return this.#chosen !== undefined;
  }

  disarm(): void {
    // A cut that has begun goes on to the reset.
    if (!this.fired) this.#end();
  }

  #end(): void {
    if (this.#disarmed) return;
    this.#disarmed = true;
    this.#asked.clear();
    this.#onDisarm();
  }

  /** Bytes leave for the server. */
  sent(link: ProxyLink, chunk: Buffer): void {
    if (this.#disarmed || this.fired || this.#ignoring(chunk)) return;
    if (this.#options.links?.(link) === false) return;
    const before = this.#asked.get(link) ?? nothing;
    const whole = before.length === 0 ? chunk : Buffer.concat([before, chunk]);
    this.#asked.set(link, whole.length > longestRequest ? whole.subarray(-longestRequest) : whole);
  }

  /** Bytes are about to leave for the client. True when they must not, and the link must be cut. */
  answered(link: ProxyLink, chunk: Buffer): boolean {
    if (this.#disarmed || this.fired || this.#ignoring(chunk)) return false;
    // Nobody asked: a notification, a delivery, or the reply to something sent before the cut was armed.
    const request = this.#asked.get(link);
    if (request === undefined) return false;
    this.#asked.delete(link);
    if (this.#options.matching?.(request, link) === false) return false;
    this.#replies += 1;
    if (this.#replies < (this.#options.nth ?? 1)) return false;
    this.#chosen = link;
    return true;
  }

  /** A link has been reset. True when it is the one whose reply was cut. */
  finish(link: ProxyLink): boolean {
    if (link !== this.#chosen) return false;
    this.#end();
    this.#finish(link);
    return true;
  }
}
