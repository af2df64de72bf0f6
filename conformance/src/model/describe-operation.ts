import type { Delivery, EnqueueOutcome, Lease, NewTask, TaskRecord } from '@millrace/core';
import type { ModelOperation, ModelOutcome } from './operation.ts';

/** A call in one line, for people. */
export function describeOperation(operation: ModelOperation): string {
  switch (operation.type) {
    case 'enqueue':
      return `enqueue ${operation.tasks.map(describeTask).join(', ')}`;
    case 'openSession':
      return `${operation.session} = open session, ttl ${operation.ttlMs} ms`;
    case 'claim': {
      const { queues, names, limit } = operation.request;
      return `${operation.session}.claim up to ${limit} of ${names.join('|')} from ${queues.join('|')}`;
    }
    case 'settle':
      return `${operation.session}.settle ${operation.operations
        .map((each) => `${each.type} ${describeLease(each.lease)}${'delayMs' in each ? ` in ${each.delayMs} ms` : ''}`)
        .join(', ')}`;
    case 'report':
      return `${operation.session}.report ${operation.reports
        .map(({ lease, ...report }) => `${Object.keys(report).join('+')} of ${describeLease(lease)}`)
        .join(', ')}`;
    case 'endSession':
      return operation.close ? `close the client of ${operation.session}` : `${operation.session}.end`;
    case 'control': {
      const how =
        operation.control === 'reschedule'
          ? ` ${JSON.stringify(operation.due)}`
          : operation.control === 'update'
            ? ` ${JSON.stringify(operation.changes)}`
            : '';
      return `${operation.control} ${operation.ids.join(', ')}${how}`;
    }
    case 'queuePause':
    case 'queueResume':
    case 'queuePurge':
    case 'queueStats':
      return `${operation.type} ${operation.queue}`;
    case 'get':
      return `get ${operation.ids.join(', ')}`;
    case 'count':
    case 'list':
      return `${operation.type} ${JSON.stringify(operation.filter)}`;
    case 'advance':
      return `advance ${operation.ms} ms`;
    case 'freeze':
    case 'thaw':
      return `${operation.type} ${operation.session}`;
    default:
      return operation.type;
  }
}

/** An answer in one line, for people. */
export function describeOutcome(outcome: ModelOutcome): string {
  switch (outcome.type) {
    case 'enqueue':
      return outcome.outcomes.map(describeEnqueued).join(', ') || 'nothing';
    case 'claim':
      return outcome.deliveries.map(describeDelivery).join(', ') || 'nothing';
    case 'settle':
    case 'control':
      return outcome.outcomes.join(', ') || 'nothing';
    case 'get':
      return outcome.records.map(describeRecord).join(', ');
    case 'count':
      return String(outcome.count);
    case 'list':
      return outcome.ids.join(', ') || 'nothing';
    case 'queueStats':
      return JSON.stringify(outcome.stats);
    case 'maintain':
      return JSON.stringify(outcome.report);
    case 'thaw':
      return outcome.lost ? 'lost' : 'alive';
    case 'error':
      return outcome.message === '' ? outcome.code : `${outcome.code}: ${outcome.message}`;
    default:
      return 'done';
  }
}

function describeTask(task: NewTask): string {
  const details = [
    task.name,
    task.queue,
    ...(task.delayMs > 0 ? [`in ${task.delayMs} ms`] : []),
    ...(task.priority === 4 ? [] : [`priority ${task.priority}`]),
    ...(task.key === undefined ? [] : [`key ${task.key} until ${task.keyUntil}, ${task.onConflict}`]),
    ...(task.expiresInMs === undefined ? [] : [`expires in ${task.expiresInMs} ms`]),
    `${task.maxAttempts} attempts`,
  ];
  return `${task.id} (${details.join(', ')})`;
}

function describeLease(lease: Lease): string {
  return `${lease.taskId}#${lease.fence}`;
}

function describeEnqueued(outcome: EnqueueOutcome): string {
  if ('existingId' in outcome) return `${outcome.status} of ${outcome.existingId}`;
  return outcome.status === 'rejected' ? `rejected (${outcome.error.code})` : outcome.status;
}

function describeDelivery({ lease, checkpoint }: Delivery): string {
  return `${describeLease(lease)} attempt ${lease.attempt}${checkpoint === undefined ? '' : ` checkpoint ${checkpoint}`}`;
}

function describeRecord(record: TaskRecord | undefined): string {
  if (record === undefined) return 'none';
  const details = [
    record.state,
    ...(record.failure === undefined ? [] : [record.failure]),
    `attempt ${record.attempt}`,
    `fence ${record.fence}`,
    ...(record.requested === undefined ? [] : [`${record.requested} requested`]),
  ];
  return `${record.id} (${details.join(', ')})`;
}
