import type { ControlOutcome } from '@millrace/core';
import { brokenBroker, type Mutant } from './mutant.ts';

/** Defects of looking up and controlling tasks and queues. */
export const controlMutants: readonly Mutant[] = [
  brokenBroker('cancel-ignores-running', 'cancelling a running task is noted nowhere', 'CAN-02', () => ({
    tasks: (inner) => ({
      async cancel(ids) {
        const records = await inner.get(ids);
        const waiting = ids.filter((_id, index) => records[index]?.state !== 'running');
        const outcomes = await inner.cancel(waiting);
        return ids.map((id) =>
          waiting.includes(id) ? (outcomes[waiting.indexOf(id)] as ControlOutcome) : 'requested',
        );
      },
    }),
  })),
  brokenBroker('cancel-does-nothing', 'cancelling a waiting task is answered applied and forgotten', 'CAN-01', () => ({
    tasks: () => ({ cancel: async (ids) => ids.map(() => 'applied' as const) }),
  })),
  brokenBroker('cancel-of-ended-applied', 'cancelling an ended task is answered applied', 'CAN-06', () => ({
    tasks: (inner) => ({
      cancel: async (ids) => (await inner.cancel(ids)).map((outcome) => (outcome === 'refused' ? 'applied' : outcome)),
    }),
  })),
  brokenBroker('holder-not-told', 'stop requests never reach the holder', 'PAU-09', () => ({
    broker: (inner) => ({ openSession: (options) => inner.openSession({ ...options, onSignal: () => {} }) }),
  })),
  brokenBroker('pause-ignored', 'pausing a queue does nothing', 'PAU-01', () => ({
    queues: () => ({ pause: async () => {} }),
  })),
  brokenBroker('pause-per-process', 'a pause holds only for the client that set it', 'PAU-01', () => {
    const paused = new Set<string>();
    return {
      queues: (inner) => ({
        pause: async (queue) => void paused.add(queue),
        resume: async (queue) => void paused.delete(queue),
        stats: async (names) =>
          (await inner.stats(names)).map((stats) => ({ ...stats, paused: paused.has(stats.queue) })),
      }),
      session: (inner) => ({
        claim(request) {
          const queues = request.queues.filter((queue) => !paused.has(queue));
          return queues.length === 0 ? Promise.resolve([]) : inner.claim({ ...request, queues });
        },
      }),
    };
  }),
  brokenBroker('pause-not-durable', 'a pause ends with the client that set it', 'PAU-03', (scratch, inner) => {
    const mine = new Set<string>();
    return {
      broker: () => ({
        async close() {
          for (const queue of mine) await inner.queues.resume(queue);
          await inner.close();
        },
      }),
      queues: (queues) => ({
        async pause(queue) {
          mine.add(scratch.remember(queue, () => queue));
          await queues.pause(queue);
        },
      }),
    };
  }),
  brokenBroker(
    'resume-needs-a-nudge',
    'a resumed queue is looked at when the next claim comes',
    'PAU-02',
    (scratch, _inner, { clock }) => ({
      queues: (inner) => ({
        async resume(queue) {
          scratch.remember(`later ${queue}`, () => clock.setTimer(() => void inner.resume(queue), 600_000));
        },
      }),
    }),
  ),
  brokenBroker(
    'wait-misses-the-end',
    'a wait looks once and then at its deadline',
    'OBS-09',
    (_scratch, _inner, { clock }) => ({
      tasks: (inner) => ({
        async wait(ids, { waitMs, signal }) {
          const records = await inner.get(ids);
          if (records.every((record) => record === undefined || record.finishedAt !== undefined)) return records;
          await new Promise<void>((resolve) => {
            clock.setTimer(resolve, waitMs);
            signal?.addEventListener('abort', () => resolve());
          });
          return inner.get(ids);
        },
      }),
    }),
  ),
  brokenBroker('page-loses-one', 'the last task of each page is left out', 'MOD-11', () => ({
    tasks: (inner) => ({
      async list(filter, page) {
        const { tasks, ...rest } = await inner.list(filter, page);
        return { ...rest, tasks: rest.cursor === undefined ? tasks : tasks.slice(0, -1) };
      },
    }),
  })),
  brokenBroker('count-ignores-states', 'counting leaves the states out of the filter', 'MOD-11', () => ({
    tasks: (inner) => ({ count: ({ states: _states, ...filter }) => inner.count(filter) }),
  })),
  brokenBroker('list-ignores-names', 'listing leaves the names out of the filter', 'CAN-08', () => ({
    tasks: (inner) => ({ list: ({ names: _names, ...filter }, page) => inner.list(filter, page) }),
  })),
  brokenBroker('stats-count-delayed', 'delayed tasks are counted as pending', 'OBS-05', () => ({
    queues: (inner) => ({
      stats: async (names) =>
        (await inner.stats(names)).map((stats) => ({
          ...stats,
          pending: (stats.pending ?? 0) + (stats.scheduled ?? 0),
        })),
    }),
  })),
  brokenBroker('stats-leave-out-the-unknown', 'asking about a queue nobody used gives nothing', 'OBS-10', () => ({
    queues: (inner) => ({
      async stats(names) {
        const known = new Set((await inner.stats()).map((stats) => stats.queue));
        return inner.stats(names?.filter((name) => known.has(name)));
      },
    }),
  })),
  brokenBroker('purge-does-nothing', 'purging counts and keeps the tasks', 'OBS-11', () => ({
    queues: (inner) => ({
      async purge(queue) {
        const [stats] = await inner.stats([queue]);
        return (stats?.pending ?? 0) + (stats?.scheduled ?? 0);
      },
    }),
  })),
  brokenBroker('remove-only-hides', 'a removed task is still delivered', 'STM-12', () => ({
    tasks: (inner) => ({
      async remove(ids) {
        const records = await inner.get(ids);
        return records.map((record) =>
          record === undefined ? 'not-found' : record.state === 'running' ? 'requested' : 'applied',
        );
      },
    }),
  })),
  brokenBroker('reschedule-later-only', 'a due time can only be moved back', 'DLY-09', () => ({
    tasks: (inner) => ({
      reschedule: (ids, due) =>
        'delayMs' in due && due.delayMs === 0
          ? Promise.resolve(ids.map(() => 'applied' as const))
          : inner.reschedule(ids, due),
    }),
  })),
  brokenBroker('rerun-forgets-errors', 'a rerun starts with an empty record', 'STM-13', (scratch) => ({
    tasks: (inner) => ({
      async rerun(ids) {
        const forgotten = scratch.remember('forgotten', () => new Set<string>());
        for (const id of ids) forgotten.add(id);
        return inner.rerun(ids);
      },
      async get(ids) {
        const forgotten = scratch.remember('forgotten', () => new Set<string>());
        return (await inner.get(ids)).map((record) =>
          record !== undefined && forgotten.has(record.id) ? { ...record, errors: [] } : record,
        );
      },
    }),
  })),
  brokenBroker('terminal-is-not-final', 'resuming a cancelled task brings it back', 'STM-01', () => ({
    tasks: (inner) => ({
      async resume(ids) {
        const outcomes = await inner.resume(ids);
        await inner.rerun(ids.filter((_id, index) => outcomes[index] === 'refused'));
        return outcomes;
      },
    }),
  })),
];
