import { adapter } from '@millrace/postgres';
import { sqlProbe } from '../../backends/sql.ts';
import type { Subject } from '../../subject.ts';
import { millraceWith } from '../millrace.ts';

export const millrace: Subject = millraceWith(() => adapter, {
  settings: 'fenced settles, history kept',
  guarantees: {
    fence: 'refused by its fence',
    history: 'kept, with result and attempts',
    enqueue: 'committed',
    settle: 'committed',
  },
  probe: sqlProbe({
    anyLeft: 'select exists (select 1 from millrace.task) as answer',
    left: 'select count(*)::int as answer from millrace.task',
    kept: "select count(*)::int as answer from millrace.finished where state = 'succeeded'",
  }),
});
