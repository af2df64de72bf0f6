import type { Broker, Session } from '@millrace/core';
import type { MemoryBroker } from '../memory-broker.ts';

/** The longest a claim may wait, by the contract: almost 25 days. */
const longestWaitMs = 2_147_483_647;

/**
 * The same broker, with long polls that last. A worker asks again every 20 seconds, for the sake of brokers whose
 * wake-ups can get lost; on a virtual clock that would be most of the work when a month passes.
 */
export function patientBroker(broker: MemoryBroker): Broker<never> {
  return {
    kind: broker.kind,
    queues: broker.queues,
    tasks: broker.tasks,
    open: () => broker.open(),
    enqueue: (tasks, options) => broker.enqueue(tasks, options),
    openSession: async (options) => patientSession(await broker.openSession(options)),
    maintain: (budget) => broker.maintain(budget),
    health: () => broker.health(),
    close: () => broker.close(),
  };
}

function patientSession(session: Session): Session {
  return {
    id: session.id,
    lost: session.lost,
    claim: (request) => session.claim(request.waitMs === 0 ? request : { ...request, waitMs: longestWaitMs }),
    report: (reports) => session.report(reports),
    settle: (operations) => session.settle(operations),
    end: () => session.end(),
  };
}
