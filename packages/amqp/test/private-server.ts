import { execFile } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { type LocalServer, localServer } from '@millrace/conformance';
import { findSteadyPort } from '@millrace/conformance/tls';

/** Where RabbitMQ's own programs are; without them there is no server that may be stopped. */
export const programs: string | undefined = process.env.MILLRACE_TEST_RABBITMQ_PROGRAMS;

/** What every server hands to Erlang. */
const usual = process.env.MILLRACE_TEST_ERLANG_ARGUMENTS ?? '';

/** Why tests that need one do not run. */
export const noServer = 'no RabbitMQ programs to start a server of its own';

/** A server of this test file's own. */
export interface PrivateServer {
  readonly url: string;
  readonly server: LocalServer;
  close(): Promise<void>;
}

/** As docs/amqp.md advises, short: with the default of three minutes, some delayed tasks are that late after a restart. */
const soonAgain = '-rabbit dead_letter_worker_publisher_confirm_timeout 2000';

/**
 * Starts a RabbitMQ that may be stopped and killed.
 * @param erlang settings such as `-rabbit consumer_timeout 4000`. @param options `defaults`: no other settings than those;
 * `advanced`: what its advanced.config holds
 */
export async function startPrivateServer(
  erlang = '',
  { defaults = false, advanced }: { readonly defaults?: boolean; readonly advanced?: string } = {},
): Promise<PrivateServer> {
  const [distribution, epmd] = [await findSteadyPort(), await findSteadyPort()];
  const server = await localServer({
    name: 'rabbitmq',
    start: ({ dir, port }) => {
      const settings: Record<string, string> = {
        LC_ALL: 'C.UTF-8',
        RABBITMQ_CONF_ENV_FILE: '/dev/null',
        RABBITMQ_NODENAME: `private${port}@localhost`,
        RABBITMQ_NODE_IP_ADDRESS: '127.0.0.1',
        RABBITMQ_NODE_PORT: String(port),
        RABBITMQ_DIST_PORT: String(distribution),
        RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS: `${usual} ${defaults ? '' : soonAgain} ${erlang}`,
        ERL_EPMD_PORT: String(epmd),
        ERL_EPMD_ADDRESS: '127.0.0.1',
        RABBITMQ_MNESIA_BASE: path.join(dir, 'data'),
        RABBITMQ_LOG_BASE: path.join(dir, 'log'),
        RABBITMQ_PID_FILE: path.join(dir, 'pid'),
        RABBITMQ_ENABLED_PLUGINS_FILE: path.join(dir, 'plugins'),
        RABBITMQ_CONFIG_FILE: path.join(dir, 'rabbitmq.conf'),
        RABBITMQ_ADVANCED_CONFIG_FILE: path.join(dir, 'advanced.config'),
      };
      writeFileSync(path.join(dir, 'plugins'), '[].\n');
      if (advanced !== undefined) writeFileSync(path.join(dir, 'advanced.config'), `${advanced}\n`);
      const variables = Object.entries(settings).map(([name, value]) => `${name}=${value}`);
      return ['/usr/bin/env', ...variables, path.join(programs ?? '', 'rabbitmq-server')];
    },
    ready: /completed with \d+ plugins/,
    // It runs as anybody, and from a chroot only as root.
    ...(process.getuid?.() === 0 && { user: 'root' }),
    limitMs: 120_000,
  });
  return {
    url: `amqp://127.0.0.1:${server.place.port}`,
    server,
    async close() {
      await server.close();
      // The node's epmd is a daemon that outlives it.
      await new Promise<void>((resolve) => execFile('epmd', ['-port', String(epmd), '-kill'], () => resolve()));
    },
  };
}
