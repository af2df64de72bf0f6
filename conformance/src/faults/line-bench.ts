import { connect, createServer, type Server, type Socket } from 'node:net';
import { startProxy, type TcpProxy } from './tcp-proxy.ts';

/** A client that reads what comes, for tests of the proxy. */
export class LineClient {
  readonly socket: Socket;
  received = '';
  /** How the connection ended: `ended`, or the code of the error. */
  closed: string | undefined;
  #waiting: (() => void)[] = [];

  constructor(port: number) {
    this.socket = connect({ port, host: '127.0.0.1' });
    this.socket.on('data', (chunk) => {
      this.received += chunk;
      this.#changed();
    });
    this.socket.on('error', (error: NodeJS.ErrnoException) => {
      this.closed = error.code ?? 'error';
    });
    this.socket.on('close', () => {
      this.closed ??= 'ended';
      this.#changed();
    });
  }

  send(line: string): void {
    this.socket.write(`${line}\n`);
  }

  async until(condition: () => boolean): Promise<void> {
    while (!condition()) await new Promise<void>((resolve) => this.#waiting.push(resolve));
  }

  /** The answer, or what came of it before the connection ended. */
  async ask(line: string): Promise<string> {
    const before = this.received.length;
    this.send(line);
    await this.until(() => this.received.length > before + line.length || this.closed !== undefined);
    return this.received.slice(before);
  }

  async end(): Promise<string> {
    await this.until(() => this.closed !== undefined);
    return this.closed as string;
  }

  #changed(): void {
    for (const resume of this.#waiting.splice(0)) resume();
  }
}

/** A server that answers each line with the line, a proxy before it, and clients. For tests of the proxy. */
export class LineBench {
  readonly server: Server;
  readonly proxy: TcpProxy;
  /** Lines that reached the server. */
  readonly arrived: string[];
  readonly #clients: LineClient[] = [];

  private constructor(server: Server, proxy: TcpProxy, arrived: string[]) {
    this.server = server;
    this.proxy = proxy;
    this.arrived = arrived;
  }

  static async start(): Promise<LineBench> {
    const arrived: string[] = [];
    const server = createServer({ allowHalfOpen: true }, (socket) => {
      let rest = '';
      socket.on('error', () => {});
      socket.on('end', () => socket.end());
      socket.on('data', (chunk) => {
        const lines = (rest + chunk).split('\n');
        rest = lines.pop() ?? '';
        for (const line of lines) {
          arrived.push(line);
          socket.write(`${line}\n`);
        }
      });
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const address = server.address();
    if (typeof address !== 'object' || address === null) throw new Error('no address');
    return new LineBench(server, await startProxy({ host: '127.0.0.1', port: address.port }), arrived);
  }

  dial(): LineClient {
    const client = new LineClient(this.proxy.port);
    this.#clients.push(client);
    return client;
  }

  async stop(): Promise<void> {
    await this.proxy.close();
    for (const { socket } of this.#clients) socket.destroy();
    this.server.close();
  }
}
