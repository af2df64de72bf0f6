// Checked by `pnpm typecheck`: what must not compile is marked, and a mark without an error is an error.
import { z } from 'zod';
import {
  type Broker,
  type Client,
  connect,
  createClient,
  createWorker,
  type Duration,
  defineTask,
  exponential,
  handle,
  type Middleware,
  RetryAfter,
  type TaskHandle,
  type TaskInput,
  type TaskOutput,
  type TaskParsedInput,
  type TaskReturn,
  typed,
} from './index.ts';

type Equal<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false;
function same<A, B>(..._proof: Equal<A, B> extends true ? [] : [never]): void {}

interface Connection {
  query(sql: string): void;
}
declare const broker: Broker;
declare const postgres: Broker<Connection>;
declare const connection: Connection;
declare const client: Client;
declare const transactional: Client<Connection>;

const sendEmail = defineTask({
  name: 'email.send',
  input: z.object({ to: z.string(), copies: z.coerce.number().default(1) }),
  output: z.object({ id: z.string().transform((id) => id.length) }),
});
const untyped = defineTask({ name: 'untyped' });
const bySize = defineTask({ name: 'size', input: typed<{ bytes: number }>(), output: typed<'small' | 'large'>() });

// A definition keeps its name, its schemas and their two sides.
same<(typeof sendEmail)['name'], 'email.send'>();
same<TaskInput<typeof sendEmail>, { to: string; copies?: unknown }>();
same<TaskParsedInput<typeof sendEmail>, { to: string; copies: number }>();
same<TaskReturn<typeof sendEmail>, { id: string }>();
same<TaskOutput<typeof sendEmail>, { id: number }>();
same<TaskInput<typeof bySize>, { bytes: number }>();
same<TaskOutput<typeof bySize>, 'small' | 'large'>();
// Without a schema: unknown, never any.
same<TaskInput<typeof untyped>, unknown>();
same<TaskParsedInput<typeof untyped>, unknown>();
same<TaskReturn<typeof untyped>, unknown>();
same<TaskOutput<typeof untyped>, unknown>();

// Wrong definitions.
// @ts-expect-error a name is needed
defineTask({});
// @ts-expect-error there is no such option
defineTask({ name: 'a', retries: 5 });
// @ts-expect-error not a duration
defineTask({ name: 'a', timeout: '5 minutes' });
// @ts-expect-error a schema is not a plain object
defineTask({ name: 'a', input: { to: 'string' } });
// @ts-expect-error a policy is made by a factory
defineTask({ name: 'a', retry: 5 });
// @ts-expect-error attempts are said, not guessed
exponential({ base: '1s' });
// @ts-expect-error not a kind of jitter
exponential({ attempts: 5, jitter: 'some' });
// @ts-expect-error definitions are read-only
sendEmail.queue = 'other';

// Durations: a number of milliseconds, or a number and its unit.
const durations: readonly Duration[] = [0, 1.5, '250ms', '1.5h', '7d'];
void durations;
// @ts-expect-error no unit
const noUnit: Duration = '5';
// @ts-expect-error no such unit
const weeks: Duration = '5w';
// @ts-expect-error a Date is an instant, not a span
const instant: Duration = new Date();
void [noUnit, weeks, instant];
// @ts-expect-error not a duration
new RetryAfter('soon');

// Enqueueing.
async function enqueueing(): Promise<void> {
  const task = await client.enqueue(sendEmail, { to: 'a@b.c' });
  same<typeof task, TaskHandle<{ id: number }>>();
  const { id } = await task.result({ timeout: '10s' });
  same<typeof id, number>();
  same<(typeof task)['outcome']['status'], 'accepted' | 'duplicate' | 'replaced'>();
  // @ts-expect-error only a taken key or id has another task
  task.outcome.existingId;

  await client.enqueue(untyped, { anything: true });
  await client.enqueue(sendEmail, { to: 'a@b.c', copies: '2' }, { delay: '5m', key: 'welcome:42', priority: 7 });
  await client.enqueue(sendEmail, { to: 'a@b.c' }, { runAt: new Date(), expires: '1h', onConflict: 'replace' });
  // @ts-expect-error the input is wrong
  await client.enqueue(sendEmail, { to: 5 });
  // @ts-expect-error the input is missing
  await client.enqueue(sendEmail);
  // @ts-expect-error too much input
  await client.enqueue(sendEmail, { to: 'a', cc: 'b' });
  // @ts-expect-error no such option
  await client.enqueue(sendEmail, { to: 'a' }, { retries: 5 });
  // @ts-expect-error not a duration
  await client.enqueue(sendEmail, { to: 'a' }, { delay: '5 minutes' });
  // @ts-expect-error an instant is a Date
  await client.enqueue(sendEmail, { to: 'a' }, { runAt: '2030-01-01' });
  // @ts-expect-error not a way to resolve a conflict
  await client.enqueue(sendEmail, { to: 'a' }, { key: 'k', onConflict: 'merge' });
  // @ts-expect-error headers are text
  await client.enqueue(sendEmail, { to: 'a' }, { headers: { retries: 5 } });

  const many = await client.enqueueMany(bySize, [
    { input: { bytes: 1 } },
    { input: { bytes: 2 }, options: { id: 'a' } },
  ]);
  same<typeof many, TaskHandle<'small' | 'large'>[]>();
  // @ts-expect-error the input of one is wrong
  await client.enqueueMany(bySize, [{ input: { bytes: '1' } }]);
  // @ts-expect-error a transaction is for all of them
  await transactional.enqueueMany(bySize, [{ input: { bytes: 1 }, options: { transaction: connection } }]);
  same<ReturnType<typeof client.handle<typeof bySize>>, TaskHandle<'small' | 'large'>>();
}

// Transactions: the broker's own kind, or none at all.
async function transactions(): Promise<void> {
  same<ReturnType<typeof createClient<Connection>>, Client<Connection>>();
  const ofPostgres = createClient({ broker: postgres });
  same<typeof ofPostgres, Client<Connection>>();
  await ofPostgres.enqueue(bySize, { bytes: 1 }, { transaction: connection });
  await transactional.enqueueMany(bySize, [{ input: { bytes: 1 } }], { transaction: connection });
  // @ts-expect-error not a connection of this broker
  await transactional.enqueue(bySize, { bytes: 1 }, { transaction: 'tx' });
  // @ts-expect-error this broker joins no transaction
  await createClient({ broker }).enqueue(bySize, { bytes: 1 }, { transaction: connection });
  // @ts-expect-error nor for many
  await client.enqueueMany(bySize, [{ input: { bytes: 1 } }], { transaction: connection });
  // A broker chosen by URL: what it takes is known when it runs.
  const chosen = createClient({ broker: await connect('memory:') });
  await chosen.enqueue(bySize, { bytes: 1 }, { transaction: connection });
  // @ts-expect-error connect has to be awaited
  createClient({ broker: connect('memory:') });
}

// Handlers.
const handlers = [
  handle(sendEmail, async ({ to, copies }, context) => {
    same<typeof to, string>();
    same<typeof copies, number>();
    same<typeof context.attempt, number>();
    same<typeof context.signal, AbortSignal>();
    same<typeof context.deadline, Date | undefined>();
    const { progress, enqueue, log, checkpoint } = context;
    progress(0.5);
    log.info({ to }, 'sending');
    same<ReturnType<typeof checkpoint.get>, unknown>();
    const child = await enqueue(bySize, { bytes: copies });
    same<typeof child, TaskHandle<'small' | 'large'>>();
    // @ts-expect-error the child's input is wrong
    await enqueue(bySize, { bytes: 'many' });
    // @ts-expect-error a handler has no transaction to give
    await enqueue(bySize, { bytes: 1 }, { transaction: connection });
    // @ts-expect-error read-only
    context.attempt = 5;
    return { id: 'abc' };
  }),
  handle(bySize, ({ bytes }) => (bytes > 1_000 ? 'large' : 'small'), { concurrency: 2 }),
  handle(untyped, (input) => {
    same<typeof input, unknown>();
  }),
];
// @ts-expect-error the wrong output
handle(sendEmail, async () => ({ id: 5 }));
// @ts-expect-error no output
handle(sendEmail, async () => {});
// @ts-expect-error not one of the outputs
handle(bySize, () => 'huge');
// @ts-expect-error the handler reads what is not there
handle(bySize, ({ lines }) => (lines > 1 ? 'large' : 'small'));
// @ts-expect-error no such option
handle(untyped, () => {}, { parallel: 5 });

// Workers take any broker: they enqueue in no transaction.
createWorker({ broker, handlers });
createWorker({ broker: postgres, handlers, concurrency: 5, drain: '10s', maintenance: false });
// @ts-expect-error handlers are needed
createWorker({ broker });
// @ts-expect-error a definition is not a handler
createWorker({ broker, handlers: [sendEmail] });
// @ts-expect-error not a duration
createWorker({ broker, handlers, drain: 'long' });

const timing: Middleware = async (context, next) => {
  same<typeof context.name, string>();
  return await next();
};
// @ts-expect-error a middleware gets no value to pass on
const wrong: Middleware = async (_context, next) => next(5);
void [timing, wrong, enqueueing, transactions];
