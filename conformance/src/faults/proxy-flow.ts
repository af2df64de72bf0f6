import type { Socket } from 'node:net';

/** `out`: from the client to the server, requests. `in`: from the server to the client, answers. */
export type Direction = 'in' | 'out';

/** What the network is like right now for one direction of one link. Asked again for every chunk. */
export interface NetworkConditions {
  isBlocked(): boolean;
  /** Milliseconds this chunk is late; 0 without latency. */
  delay(): number;
  /** Bytes per second, or `undefined` for as fast as it goes. */
  readonly rate: number | undefined;
  /** Sees each chunk as it is about to leave. Returns what leaves, possibly nothing. */
  pass(chunk: Buffer): Buffer;
}

interface Queued {
  readonly chunk: Buffer;
  readonly due: number;
}

/** Slices per second of a throttled flow: small enough to be even, large enough not to burn the CPU. */
const slicesPerSecond = 50;
/** A sender is held back when this much waits, as a full receive window does. */
const windowBytes = 1_048_576;
const nothing: Buffer = Buffer.alloc(0);

/**
 * One direction of a link. Bytes are never reordered or lost: a blocked flow holds what it has, stops reading, and
 * goes on when it is healed, as TCP does by sending again. The end of the sender travels behind its last byte, so a
 * blocked flow also hides that the sender has gone.
 */
export class ProxyFlow {
  readonly #source: Socket;
  readonly #destination: Socket;
  readonly #conditions: NetworkConditions;
  readonly #queue: Queued[] = [];
  #queuedBytes = 0;
  #lastDue = 0;
  #mayLeaveAt = 0;
  #timer: NodeJS.Timeout | undefined;
  #draining = false;
  #sourceEnd: 'open' | 'ended' | 'reset' = 'open';
  #endPassed = false;
  #stopped = false;

  constructor(source: Socket, destination: Socket, conditions: NetworkConditions) {
    this.#source = source;
    this.#destination = destination;
    this.#conditions = conditions;
    source.on('data', (chunk: Buffer) => this.#arrived(chunk));
    source.on('end', () => this.#sourceLeft('ended'));
    source.on('close', (failed: boolean) => this.#sourceLeft(failed ? 'reset' : 'ended'));
    destination.on('drain', () => {
      this.#draining = false;
      this.wake();
    });
  }

  /** Looks again at the conditions, because they may have changed. */
  wake(): void {
    if (this.#timer !== undefined) clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#pump();
  }

  /** Nothing passes any more: the link is being taken down. */
  stop(): void {
    this.#stopped = true;
    if (this.#timer !== undefined) clearTimeout(this.#timer);
    this.#queue.length = 0;
  }

  #arrived(chunk: Buffer): void {
    if (this.#stopped) return;
    // Jitter must not let a chunk overtake the one before it.
    this.#lastDue = Math.max(this.#lastDue, performance.now() + this.#conditions.delay());
    this.#queue.push({ chunk, due: this.#lastDue });
    this.#queuedBytes += chunk.length;
    if (this.#timer === undefined) this.#pump();
  }

  #sourceLeft(how: 'ended' | 'reset'): void {
    if (this.#sourceEnd !== 'reset') this.#sourceEnd = how;
    if (this.#timer === undefined) this.#pump();
  }

  #pump(): void {
    while (!this.#stopped && !this.#draining && this.#forwardNext());
    if (this.#queuedBytes > windowBytes) this.#source.pause();
  }

  /** False when nothing more may leave for now. */
  #forwardNext(): boolean {
    const head = this.#queue[0];
    if (this.#conditions.isBlocked()) {
      this.#source.pause();
      return false;
    }
    if (head === undefined) {
      this.#becomeIdle();
      return false;
    }
    const wait = Math.max(head.due, this.#mayLeaveAt) - performance.now();
    if (wait > 0) {
      this.#timer = setTimeout(() => this.wake(), wait);
      return false;
    }
    this.#forward(head);
    return true;
  }

  #forward(head: Queued): void {
    const { rate } = this.#conditions;
    let { chunk } = head;
    this.#queue.shift();
    if (rate !== undefined) {
      const size = Math.max(1, Math.floor(rate / slicesPerSecond));
      if (chunk.length > size) {
        this.#queue.unshift({ chunk: chunk.subarray(size), due: head.due });
        chunk = chunk.subarray(0, size);
      }
      this.#mayLeaveAt = Math.max(this.#mayLeaveAt, performance.now()) + (chunk.length / rate) * 1_000;
    }
    this.#queuedBytes -= chunk.length;
    const passed = this.#conditions.pass(chunk);
    if (passed.length === 0 || this.#destination.destroyed || this.#destination.writableEnded) return;
    if (!this.#destination.write(passed)) {
      this.#draining = true;
      this.#source.pause();
    }
  }

  #becomeIdle(): void {
    if (this.#sourceEnd === 'open') {
      if (this.#source.isPaused()) this.#source.resume();
      return;
    }
    if (this.#endPassed && this.#sourceEnd === 'ended') return;
    this.#endPassed = true;
    if (this.#destination.destroyed) return;
    if (this.#sourceEnd === 'reset') this.#destination.resetAndDestroy();
    else this.#destination.end(nothing);
  }
}
