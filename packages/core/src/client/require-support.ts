import type { Capabilities } from '../broker/capabilities.ts';
import { UnsupportedError } from '../errors.ts';
import type { NewTask } from '../task.ts';

/**
 * An option the broker cannot honour is refused before any effect, never ignored (T21).
 * @throws UnsupportedError naming the capability and the option
 */
export function requireSupport(kind: string, capabilities: Capabilities, task: NewTask, transaction: unknown): void {
  if (transaction !== undefined && !capabilities.transactions) throw refusal(kind, 'transactions', 'transaction');
  if (task.key === undefined) return;
  const { unique } = capabilities;
  if (unique === false) throw refusal(kind, 'unique', 'key');
  if (!unique.until.includes(task.keyUntil ?? 'settled')) throw refusal(kind, 'unique.until', 'keyUntil');
  if (task.onConflict === 'replace' && !unique.replace) throw refusal(kind, 'unique.replace', 'onConflict');
}

function refusal(kind: string, capability: string, option: string): UnsupportedError {
  return new UnsupportedError(
    capability,
    `the ${kind} broker cannot honour the option '${option}' (capability ${capability})`,
    { op: 'enqueue', adapter: kind, option },
  );
}
