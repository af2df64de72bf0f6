// src/main.ts with the adapters it may need: what is bundled does not find them by itself.
import { type Adapter, registerAdapter } from '@millrace/core';

const adapters: Readonly<Record<string, () => Promise<{ readonly adapter: Adapter }>>> = {
  memory: () => import('@millrace/memory'),
  pglite: () => import('@millrace/postgres'),
  postgres: () => import('@millrace/postgres'),
  redis: () => import('@millrace/redis'),
  amqp: () => import('@millrace/amqp'),
};

const [scheme = ''] = (process.env.MILLRACE_URL ?? 'pglite:').split(':', 1);
const load = adapters[scheme];
if (load !== undefined) registerAdapter((await load()).adapter);
await import('../src/main.ts');
