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
  interface Connection {
    readonly connection: { readonly connectionString: string; readonly max?: number };
  }
  interface WorkerOptions extends Connection {
    readonly concurrency: number;
  }
  interface BackendFactory {
    readonly name: string;
  }
  export const createPostgresBackend: BackendFactory;
  export function runMigrations(client: object): Promise<unknown>;
  export class Queue {
    constructor(name: string, options: Connection, backend: BackendFactory);
    waitUntilReady(): Promise<unknown>;
    add(name: string, data: object): Promise<unknown>;
    addBulk(jobs: readonly { readonly name: string; readonly data: object }[]): Promise<unknown>;
    close(): Promise<void>;
  }
  export class Worker {
    constructor(
      name: string,
      processor: (job: { readonly data: unknown }) => Promise<void>,
      options: WorkerOptions,
      backend: BackendFactory,
    );
    on(event: 'error', listener: (error: Error) => void): void;
    close(): Promise<void>;
  }
}
