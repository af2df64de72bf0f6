import { type Guard, ValidationError } from '@millrace/core';
import { kindOf } from '@millrace/core/adapter';

const taken = new WeakSet<object>();

/** A guard as `amqpBroker` takes it: once, because the broker closes it. @throws ValidationError naming the option */
export function takeGuard<Tx>(guard: Guard<Tx>): Guard<Tx> {
  const given: unknown = guard;
  const isGuard =
    typeof given === 'object' && given !== null && 'broker' in given && 'overdue' in given && 'holds' in given;
  if (!isGuard) {
    throw new ValidationError(`guard must come from postgresGuard, redisGuard or memoryGuard; got ${kindOf(given)}`, {
      option: 'guard',
    });
  }
  if (taken.has(guard)) {
    throw new ValidationError('guard belongs to another broker already; make one for each amqpBroker', {
      option: 'guard',
      reason: 'guard-taken',
    });
  }
  taken.add(guard);
  return guard;
}
