import { createServer, type Server, type Socket } from 'node:net';
import { listenOnSteadyPort } from './free-port.ts';

/** `closed`: nobody listens, as with a server that is down. `reset`: accepted and reset at once, and counted. */
export type Refusal = 'closed' | 'reset';

/** The proxy's side of accepting connections, or not. Refusals stack. */
export class ProxyListener {
  readonly #onSocket: (socket: Socket) => void;
  readonly #active: Record<Refusal, number> = { closed: 0, reset: 0 };
  #server: Server | undefined;
  #listening: Promise<void> = Promise.resolve();
  #refused = 0;
  #port = 0;
  #ended = false;

  constructor(onSocket: (socket: Socket) => void) {
    this.#onSocket = onSocket;
  }

  get port(): number {
    return this.#port;
  }

  /** Connections reset so far. */
  get refused(): number {
    return this.#refused;
  }

  async start(): Promise<void> {
    const server = this.#create();
    this.#port = await listenOnSteadyPort(server);
    this.#server = server;
  }

  /** Begins to refuse. The returned function ends it. */
  refuse(how: Refusal): () => void {
    this.#active[how] += 1;
    if (how === 'closed') this.#close();
    return () => {
      this.#active[how] -= 1;
      if (this.#active.closed === 0) this.#listenAgain();
    };
  }

  /** Resolves when it listens again. @throws the error of listening */
  ready(): Promise<void> {
    return this.#listening;
  }

  async end(): Promise<void> {
    this.#ended = true;
    await this.#listening.catch(() => {});
    this.#close();
  }

  #create(): Server {
    return createServer({ allowHalfOpen: true }, (socket) => {
      if (this.#active.reset === 0 && !this.#ended) return this.#onSocket(socket);
      this.#refused += 1;
      socket.resetAndDestroy();
    });
  }

  #close(): void {
    this.#server?.close();
    this.#server = undefined;
  }

  #listenAgain(): void {
    if (this.#ended || this.#server !== undefined) return;
    const server = this.#create();
    this.#server = server;
    this.#listening = listenOnSteadyPort(server, this.#port).then(() => {});
    // `ready` reports it.
    this.#listening.catch(() => {});
  }
}
