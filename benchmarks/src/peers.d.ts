// The peers are installed on demand, outside the workspace: only what the benchmarks use of them is declared here.

declare module 'graphile-worker' {
  interface WorkerUtils {
    addJob(identifier: string, payload: unknown): Promise<unknown>;
    addJobs(specs: readonly { readonly identifier: string; readonly payload: unknown }[]): Promise<unknown>;
    release(): Promise<void>;
  }
  interface Options {
    readonly connectionString?: string;
    readonly logger?: Logger;
    readonly preset?: { readonly worker: object };
    readonly taskList?: Readonly<Record<string, (payload: unknown) => Promise<void>>>;
    readonly noHandleSignals?: boolean;
  }
  export class Logger {
    constructor(factory: (scope: object) => (level: string, message: string) => void);
  }
  export function makeWorkerUtils(options: Options): Promise<WorkerUtils>;
  export function runMigrations(options: Options): Promise<void>;
  export function run(options: Options): Promise<{ stop(): Promise<void> }>;
}

declare module 'pg-boss' {
  export class PgBoss {
    constructor(options: { readonly connectionString: string; readonly useListenNotify?: boolean });
    on(event: 'error', listener: (error: Error) => void): void;
    start(): Promise<unknown>;
    stop(options: { readonly graceful: boolean; readonly timeout?: number }): Promise<void>;
    createQueue(name: string, options: { readonly notify?: boolean }): Promise<void>;
    send(name: string, data: object): Promise<string | null>;
    insert(name: string, jobs: readonly { readonly data: object }[]): Promise<unknown>;
    work(
      name: string,
      options: object,
      handler: (jobs: readonly { readonly data: unknown }[]) => Promise<void>,
    ): Promise<string>;
  }
}

declare module 'bullmq' {
  interface PostgresConnection {
    readonly connection: { readonly connectionString: string; readonly max?: number };
  }
  /** A client of ioredis. */
  interface RedisConnection {
    readonly connection: { disconnect(): void };
  }
  interface QueueOptions extends RedisConnection {
    readonly defaultJobOptions?: { readonly removeOnComplete: boolean };
  }
  interface WorkerOptions extends RedisConnection {
    readonly concurrency: number;
    readonly removeOnComplete?: { readonly count: number };
  }
  interface BackendFactory {
    readonly name: string;
  }
  type Processor = (job: { readonly data: unknown }) => Promise<void>;
  export const createPostgresBackend: BackendFactory;
  export function runMigrations(client: object): Promise<unknown>;
  export class Queue {
    constructor(name: string, options: QueueOptions);
    constructor(name: string, options: PostgresConnection, backend: BackendFactory);
    waitUntilReady(): Promise<unknown>;
    add(name: string, data: object): Promise<unknown>;
    addBulk(jobs: readonly { readonly name: string; readonly data: object }[]): Promise<unknown>;
    close(): Promise<void>;
  }
  export class Worker {
    constructor(name: string, processor: Processor, options: WorkerOptions);
    constructor(
      name: string,
      processor: Processor,
      options: PostgresConnection & { readonly concurrency: number },
      backend: BackendFactory,
    );
    on(event: 'error', listener: (error: Error) => void): void;
    close(): Promise<void>;
  }
}

declare module 'bee-queue' {
  interface Job {
    readonly data: unknown;
    save(): Promise<Job>;
  }
  interface Settings {
    readonly redis: { readonly url: string };
    readonly isWorker?: boolean;
  }
  export default class BeeQueue {
    constructor(name: string, settings: Settings);
    on(event: 'error', listener: (error: Error) => void): void;
    ready(): Promise<unknown>;
    createJob(data: object): Job;
    /** Resolves to the errors by job. */
    saveAll(jobs: readonly Job[]): Promise<ReadonlyMap<Job, Error>>;
    process(concurrency: number, handler: (job: Job) => Promise<void>): void;
    close(): Promise<void>;
  }
}

declare module 'rascal' {
  interface Publication {
    on(event: 'success', listener: () => void): Publication;
    on(event: 'error' | 'return', listener: (cause: unknown) => void): Publication;
  }
  interface Subscription {
    on(
      event: 'message',
      listener: (message: object, content: unknown, ackOrNack: (error?: Error) => void) => void,
    ): Subscription;
    on(event: 'error', listener: (error: Error) => void): Subscription;
    cancel(): Promise<void>;
  }
  export interface BrokerAsPromised {
    on(event: 'error', listener: (error: Error) => void): void;
    publish(name: string, content: unknown): Promise<Publication>;
    subscribe(name: string): Promise<Subscription>;
    shutdown(): Promise<void>;
  }
  const rascal: { readonly BrokerAsPromised: { create(config: object): Promise<BrokerAsPromised> } };
  export default rascal;
}

declare module 'rabbitmq-client' {
  interface Envelope {
    readonly routingKey: string;
    readonly mandatory: boolean;
    readonly durable: boolean;
  }
  interface QueueOptions {
    readonly queue: string;
    readonly durable: boolean;
    readonly arguments: Readonly<Record<string, unknown>>;
  }
  interface Publisher {
    on(event: 'basic.return', listener: (message: object) => void): void;
    send(envelope: Envelope, body: unknown): Promise<void>;
    close(): Promise<void>;
  }
  interface Consumer {
    on(event: 'error', listener: (error: Error) => void): void;
    close(): Promise<void>;
  }
  export class Connection {
    constructor(options: { readonly url: string; readonly noDelay?: boolean });
    on(event: 'error', listener: (error: Error) => void): void;
    onConnect(timeoutMs: number): Promise<void>;
    queueDeclare(options: QueueOptions): Promise<unknown>;
    createPublisher(options: { readonly confirm: boolean }): Publisher;
    createConsumer(
      options: {
        readonly queue: string;
        readonly queueOptions?: QueueOptions;
        readonly concurrency?: number;
        readonly qos?: { readonly prefetchCount: number };
      },
      handler: (message: { readonly body: unknown }) => Promise<void>,
    ): Consumer;
    close(): Promise<void>;
  }
}
