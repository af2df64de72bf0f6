import { amqpBackend } from './amqp.ts';
import type { Backend, BackendName } from './backend.ts';
import { postgresBackend } from './postgres.ts';
import { redisBackend } from './redis.ts';

/** Connects to the server the environment names. @throws when it names none */
export async function openBackend(name: BackendName, environment: NodeJS.ProcessEnv): Promise<Backend> {
  const address = (variable: string): string => {
    const url = environment[variable];
    if (url === undefined) throw new Error(`${variable} is not set; start it with: pnpm bench`);
    return url;
  };
  switch (name) {
    case 'postgres':
      return postgresBackend(address('MILLRACE_TEST_POSTGRES_URL'));
    case 'redis':
      return redisBackend(address('MILLRACE_TEST_REDIS_URL'));
    case 'amqp':
      return amqpBackend(address('MILLRACE_TEST_AMQP_URL'));
  }
}
