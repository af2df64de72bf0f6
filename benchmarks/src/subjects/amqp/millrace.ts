import * as loaded from '@millrace/amqp';
import type { Adapter } from '@millrace/core';
import { amqpProbe } from '../../backends/amqp.ts';
import type { Subject } from '../../subject.ts';
import { adapterOf, millraceWith } from '../millrace.ts';

// Looked for when it is used: a report can be made without it.
const adapter = (): Adapter => adapterOf('@millrace/amqp', loaded);

export const millrace: Subject = millraceWith(adapter, {
  settings: 'quorum queues, confirms, mandatory, acks with a barrier',
  guarantees: {
    fence: 'its ack is refused with its channel; no fence without a guard',
    history: 'none; dead tasks are kept',
    enqueue: 'confirmed, and not returned',
    settle: 'acked, and a barrier answered',
  },
  probe: amqpProbe,
});
