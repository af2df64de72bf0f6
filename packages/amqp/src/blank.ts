import type { Arrived } from './delivery.ts';
import type { Encoded } from './message.ts';

const contentType = 'application/vnd.millrace.blank';

/**
 * A message that is no task: it uses up credit of a subscription that is to end. Whoever gets it acknowledges it and
 * looks for the next one.
 */
export const blank: Encoded = Object.freeze({ content: '', options: Object.freeze({ contentType, persistent: true }) });

/** Whether it is one. */
export function isBlank({ properties }: Arrived): boolean {
  return properties.contentType === contentType;
}
