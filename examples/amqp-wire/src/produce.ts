import { randomUUID } from 'node:crypto';
import { connect, type Message } from 'amqplib';

/** A task as any producer can make it. */
export interface RawTask {
  readonly name: string;
  /** As tasks name it; plain letters, digits, `_`, `-` and `.` here. */
  readonly queue: string;
  readonly input: unknown;
  readonly headers?: Readonly<Record<string, string>>;
  readonly delayMs?: number;
}

const unitMs = 100;
const levels = 6;
const base = 16;

/** Publishes a task and resolves to its id when the server has it. Rejects when no queue takes it. */
export async function produce(url: string, namespace: string, task: RawTask): Promise<string> {
  const connection = await connect(url, { noDelay: true });
  const channel = await connection.createConfirmChannel();
  const id = randomUUID();
  const target = `${namespace}.q.${task.queue}`;
  const delayMs = task.delayMs ?? 0;
  let returned: Message | undefined;
  channel.on('return', (message) => {
    returned = message;
  });
  channel.publish(
    delayMs > 0 ? 'millrace.delay.5' : '',
    delayMs > 0 ? `${digitsOf(delayMs).join('.')}.${target}` : target,
    Buffer.from(JSON.stringify(task.input)),
    {
      messageId: id,
      type: task.name,
      contentType: 'application/json',
      persistent: true,
      mandatory: true,
      timestamp: Math.floor(Date.now() / 1_000),
      headers: { 'x-millrace': JSON.stringify({ v: 1, headers: task.headers ?? {} }) },
    },
  );
  await channel.waitForConfirms();
  await connection.close();
  if (returned !== undefined) throw new Error(`no queue takes tasks of ${task.queue}`);
  return id;
}

/** The delay in units of 100 ms, rounded up, as six digits of base 16. */
function digitsOf(delayMs: number): number[] {
  let units = Math.ceil(delayMs / unitMs);
  const digits: number[] = [];
  for (let level = 0; level < levels; level++) {
    digits.unshift(units % base);
    units = Math.floor(units / base);
  }
  return digits;
}
