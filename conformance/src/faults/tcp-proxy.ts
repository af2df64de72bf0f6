import type { Socket } from 'node:net';
import { moveUrl } from './endpoint-url.ts';
import { type Fault, type FaultEntry, FaultJournal } from './fault-journal.ts';
import { FaultStack } from './fault-stack.ts';
import type { Direction } from './proxy-flow.ts';
import { type LinkEnvironment, ProxyLink } from './proxy-link.ts';
import { ProxyListener, type Refusal } from './proxy-listener.ts';
import { type CutReplyOptions, type LinkFilter, type ReplyCut, ReplyWatch } from './reply-cut.ts';

/** Where the server is that the proxy stands in front of. */
export interface ProxyOptions {
  readonly host: string;
  readonly port: number;
}

/** What went through a proxy so far. */
export interface ProxyStats {
  /** Links accepted. */
  readonly opened: number;
  /** Links open now. */
  readonly open: number;
  /** Connections turned away by `refuse('reset')`. Those turned away by `refuse()` cannot be counted. */
  readonly refused: number;
  readonly severed: number;
  readonly cut: number;
  readonly bytesIn: number;
  readonly bytesOut: number;
}

interface Blackhole {
  readonly direction: Direction | 'both';
  readonly links: LinkFilter;
}

/**
 * A TCP proxy that breaks what goes through it. It knows no protocol, needs no privileges and works for any broker
 * that is reached by TCP. Lasting faults may be active together, and end by their own `heal` or all at once.
 */
export class TcpProxy implements AsyncDisposable {
  readonly #upstream: ProxyOptions;
  readonly #listener: ProxyListener;
  readonly #links = new Set<ProxyLink>();
  readonly #journal = new FaultJournal();
  readonly #blackholes = new Set<Blackhole>();
  readonly #watches = new Set<ReplyWatch>();
  readonly #environment: LinkEnvironment;
  /** Told of links to come, while `cutAfter` is active. */
  readonly #arms = new Set<(link: ProxyLink) => void>();
  #refusals: Fault[] = [];
  readonly #latencies = new FaultStack<{ readonly ms: number; readonly jitterMs: number }>();
  readonly #rates = new FaultStack<number>();
  #stats = { opened: 0, severed: 0, cut: 0, bytesIn: 0, bytesOut: 0 };

  /** Use {@link startProxy}. */
  constructor(upstream: ProxyOptions) {
    this.#upstream = upstream;
    this.#listener = new ProxyListener((socket) => this.#accept(socket));
    this.#environment = {
      isBlocked: (link, direction) => this.#isBlocked(link, direction),
      delay: () => this.#delay(),
      rate: () => this.#rates.top,
      sent: (link, chunk) => {
        for (const watch of this.#watches) watch.sent(link, chunk);
      },
      cuts: (link, chunk) => {
        let quietMs: number | undefined;
        // All of them look, so that each counts every reply.
        for (const watch of this.#watches) if (watch.answered(link, chunk)) quietMs = watch.quietMs;
        return quietMs;
      },
      wasCut: (link) => this.#finishCut(link),
      moved: (direction, bytes) => {
        this.#stats[direction === 'in' ? 'bytesIn' : 'bytesOut'] += bytes;
      },
      closed: (link) => this.#links.delete(link),
    };
  }

  get port(): number {
    return this.#listener.port;
  }

  /** Links open now, oldest first. */
  get links(): readonly ProxyLink[] {
    return [...this.#links];
  }

  get stats(): ProxyStats {
    return { ...this.#stats, refused: this.#listener.refused, open: this.#links.size };
  }

  /** What was broken when. */
  get journal(): readonly FaultEntry[] {
    return this.#journal.entries;
  }

  /** Whether a lasting fault is active. */
  get broken(): boolean {
    return this.#journal.active > 0;
  }

  /** The address of the server, rewritten to lead through this proxy. Everything but host and port stays. */
  url(original: string): string {
    return moveUrl(original, '127.0.0.1', this.port);
  }

  /** Resets links, both sides, at once. New ones are accepted. Returns how many. Default: all. */
  sever(links: LinkFilter = () => true): number {
    const chosen = this.links.filter(links);
    for (const link of chosen) link.sever();
    this.#stats.severed += chosen.length;
    this.#journal.instant('sever', `${chosen.length} links`);
    return chosen.length;
  }

  /** Turns new connections away until `accept` or `heal`. Existing links stay; sever them if need be. */
  refuse(how: Refusal = 'closed'): Fault {
    const fault = this.#journal.start('refuse', how, this.#listener.refuse(how));
    this.#refusals.push(fault);
    return fault;
  }

  /** Ends every `refuse`. Resolves when connections are accepted again. */
  async accept(): Promise<void> {
    for (const fault of this.#refusals.splice(0)) fault.heal();
    await this.#listener.ready();
  }

  /**
   * Lets nothing pass: requests (`out`), answers (`in`) or both. Connections stay up, and connecting seems to work,
   * but is not answered. What was sent meanwhile passes when it is healed, late, as after TCP sent it again.
   */
  blackhole(direction: Direction | 'both' = 'both', links: LinkFilter = () => true): Fault {
    const blackhole = { direction, links };
    this.#blackholes.add(blackhole);
    return this.#lasting('blackhole', direction, () => this.#blackholes.delete(blackhole));
  }

  /** Delays every chunk, both ways, by `ms` ± `jitterMs`, keeping order. The latest such fault counts. */
  latency(ms: number, jitterMs = 0): Fault {
    return this.#lasting('latency', `${ms} ± ${jitterMs} ms`, this.#latencies.push({ ms, jitterMs }));
  }

  /** Limits each link, each way. The latest such fault counts. */
  throttle(bytesPerSecond: number): Fault {
    return this.#lasting('throttle', `${bytesPerSecond} bytes/s`, this.#rates.push(bytesPerSecond));
  }

  /** Severs each link, open now or later, when this many more bytes of requests have passed on it. */
  cutAfter(bytes: number, links: LinkFilter = () => true): Fault {
    const arm = (link: ProxyLink): void => {
      if (!links(link)) return;
      link.severAfter(bytes, () => {
        this.#stats.cut += 1;
        this.#journal.instant('cut-after', `link ${link.number}, ${bytes} bytes`);
      });
    };
    for (const link of this.#links) arm(link);
    this.#arms.add(arm);
    return this.#journal.start('cut-after', `${bytes} bytes`, () => {
      this.#arms.delete(arm);
      for (const link of this.#links) link.severAfter(Number.POSITIVE_INFINITY, () => {});
    });
  }

  /**
   * Arms the proxy to let one request pass, discard its reply and reset the link: the client cannot know whether it
   * was applied. Only replies to what is sent from now on count; a link that merely listens never triggers it.
   */
  cutReply(options: CutReplyOptions = {}): ReplyCut {
    const fault = this.#journal.start('cut-reply', `reply ${options.nth ?? 1}`, () => {
      watch.disarm();
      // A cut that has begun still waits for its link.
      if (!watch.fired) this.#watches.delete(watch);
    });
    const watch: ReplyWatch = new ReplyWatch(options, () => fault.heal());
    this.#watches.add(watch);
    return watch;
  }

  /** Ends every lasting fault. */
  heal(): void {
    this.#journal.healAll();
  }

  /** Ends all links and the listener. Safe to repeat. */
  async close(): Promise<void> {
    this.heal();
    await this.#listener.end();
    for (const link of this.#links) link.sever();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  #accept(socket: Socket): void {
    this.#stats.opened += 1;
    const link = new ProxyLink(this.#stats.opened, socket, this.#upstream, this.#environment);
    this.#links.add(link);
    for (const arm of this.#arms) arm(link);
  }

  #lasting(fault: string, detail: string, undo: () => void): Fault {
    this.#wake();
    return this.#journal.start(fault, detail, () => {
      undo();
      this.#wake();
    });
  }

  #wake(): void {
    for (const link of this.#links) link.wake();
  }

  #isBlocked(link: ProxyLink, direction: Direction): boolean {
    for (const hole of this.#blackholes) {
      if ((hole.direction === 'both' || hole.direction === direction) && hole.links(link)) return true;
    }
    return false;
  }

  #delay(): number {
    const { ms, jitterMs } = this.#latencies.top ?? { ms: 0, jitterMs: 0 };
    return Math.max(0, ms + (Math.random() * 2 - 1) * jitterMs);
  }

  #finishCut(link: ProxyLink): void {
    this.#stats.cut += 1;
    this.#journal.instant('reply-cut', `link ${link.number}`);
    for (const watch of this.#watches) if (watch.finish(link)) this.#watches.delete(watch);
  }

  /** Begins to listen. */
  start(): Promise<void> {
    return this.#listener.start();
  }
}

/** Starts a proxy in front of a server, on a port of 127.0.0.1. */
export async function startProxy(upstream: ProxyOptions): Promise<TcpProxy> {
  const proxy = new TcpProxy(upstream);
  await proxy.start();
  return proxy;
}
