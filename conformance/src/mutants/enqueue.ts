import { randomUUID } from 'node:crypto';
import type { EnqueueOutcome } from '@millrace/core';
import { brokenBroker, brokenEnqueue, type Mutant } from './mutant.ts';

/** Defects of enqueueing: loss, doubling, order, delay, ids, keys, transactions. */
export const enqueueMutants: readonly Mutant[] = [
  brokenBroker('enqueue-lost', 'one accepted task in seven is not stored', 'CON-02', (scratch) => ({
    broker: (inner) => ({
      async enqueue(tasks, options) {
        const count = scratch.remember('count', () => ({ value: 0 }));
        const kept = tasks.filter(() => ++count.value % 7 !== 0);
        const outcomes = await inner.enqueue(kept, options);
        return tasks.map((task) => outcomes[kept.indexOf(task)] ?? { status: 'accepted' });
      },
    }),
  })),
  brokenBroker('enqueue-doubled', 'one accepted task in seven is stored twice', 'CON-03', (scratch) => ({
    broker: (inner) => ({
      async enqueue(tasks, options) {
        const count = scratch.remember('count', () => ({ value: 0 }));
        const doubled = tasks.filter(() => ++count.value % 7 === 0);
        const outcomes = await inner.enqueue(tasks, options);
        await inner.enqueue(
          doubled.map((task) => ({ ...task, id: randomUUID() })),
          options,
        );
        return outcomes;
      },
    }),
  })),
  brokenBroker('batch-stops-at-error', 'an invalid task takes down those behind it', 'MOD-12', () => ({
    broker: (inner) => ({
      async enqueue(tasks, options) {
        const outcomes: EnqueueOutcome[] = [];
        for (const task of tasks) {
          const last = outcomes.at(-1);
          outcomes.push(
            last?.status === 'rejected' ? last : ((await inner.enqueue([task], options))[0] as EnqueueOutcome),
          );
        }
        return outcomes;
      },
    }),
  })),
  brokenBroker(
    'each-meets-each',
    'a batch takes a microsecond for each pair of its keys',
    'MOD-27',
    (_scratch, _inner, { clock }) => ({
      broker: (inner) => ({
        async enqueue(tasks, options) {
          const keys = tasks.filter((task) => task.key !== undefined).length;
          await new Promise<void>((resolve) => {
            clock.setTimer(resolve, keys ** 2 / 1_000);
          });
          return inner.enqueue(tasks, options);
        },
      }),
    }),
  ),
  brokenBroker('batch-reordered', 'the tasks of a batch are stored in reverse', 'ORD-02', () => ({
    broker: (inner) => ({
      enqueue: async (tasks, options) => (await inner.enqueue([...tasks].reverse(), options)).reverse(),
    }),
  })),
  brokenBroker('outcomes-misaligned', 'the outcomes of a batch come in reverse', 'MOD-12', () => ({
    broker: (inner) => ({
      async enqueue(tasks, options) {
        const [first, ...rest] = await inner.enqueue(tasks, options);
        return first === undefined ? [] : [...rest, first];
      },
    }),
  })),
  brokenEnqueue('delay-ignored', 'delayed tasks are due at once', 'DLY-01', (task) => ({ ...task, delayMs: 0 })),
  brokenEnqueue('delay-overflows', 'a delay is kept in 31 bits', 'DLY-04', (task) => ({
    ...task,
    delayMs: task.delayMs % 2 ** 31,
  })),
  brokenEnqueue('delay-in-seconds', 'delays are kept in whole seconds', 'DLY-11', (task) => ({
    ...task,
    delayMs: Math.ceil(task.delayMs / 1_000) * 1_000,
  })),
  brokenEnqueue('past-stuck', 'a task due in the past is never due', 'DLY-03', (task) =>
    task.runAt === undefined ? task : { ...task, runAt: 8_640_000_000_000_000 },
  ),
  brokenEnqueue(
    'expiry-ignored',
    'tasks do not expire',
    'STM-11',
    ({ expiresInMs: _in, expiresAt: _at, ...task }) => task,
  ),
  brokenEnqueue(
    'key-ignored',
    'unique keys are not looked at',
    'DUP-02',
    ({ key: _key, keyUntil: _until, onConflict: _conflict, ...task }) => task,
  ),
  brokenEnqueue('key-freed-early', 'a key is free as soon as its task starts', 'DUP-04', (task) =>
    task.key === undefined ? task : { ...task, keyUntil: 'started' },
  ),
  brokenEnqueue('key-freed-late', 'a key until started stays taken until the end', 'DUP-12', (task) =>
    task.key === undefined ? task : { ...task, keyUntil: 'settled' },
  ),
  brokenEnqueue('key-across-queues', 'keys of different queues meet', 'DUP-07', (task) =>
    task.key === undefined ? task : { ...task, queue: 'line' },
  ),
  brokenEnqueue('replace-ignored', 'replacing keeps the old content', 'DUP-06', (task) =>
    task.key === undefined ? task : { ...task, onConflict: 'ignore' },
  ),
  brokenBroker('key-never-freed', 'a key stays taken after its task has ended', 'DUP-05', (scratch) => ({
    broker: (inner) => ({
      async enqueue(tasks, options) {
        const taken = scratch.remember('keys', () => new Map<string, string>());
        const outcomes = await inner.enqueue(tasks, options);
        return outcomes.map((outcome, index): EnqueueOutcome => {
          const task = tasks[index];
          if (task?.key === undefined || outcome.status !== 'accepted') return outcome;
          const existingId = taken.get(task.key);
          taken.set(task.key, task.id);
          return existingId === undefined ? outcome : { status: 'duplicate', existingId };
        });
      },
    }),
  })),
  brokenBroker('key-race', 'producers that look at a key at the same time both get it', 'DUP-03', (scratch) => ({
    broker: (inner) => ({
      async enqueue(tasks, options) {
        const busy = scratch.remember('busy', () => ({ value: 0 }));
        busy.value += 1;
        await new Promise<void>((resolve) => setImmediate(resolve));
        const racing = busy.value > 1;
        const stored = racing
          ? tasks.map(({ key: _key, keyUntil: _until, onConflict: _conflict, ...task }) => task)
          : tasks;
        return inner.enqueue(stored, options).finally(() => {
          busy.value -= 1;
        });
      },
    }),
  })),
  brokenBroker('id-ignored', 'an id that is taken is replaced by a new one', 'DUP-01', () => ({
    broker: (inner) => ({
      async enqueue(tasks, options) {
        const outcomes: EnqueueOutcome[] = [];
        for (const task of tasks) {
          const [outcome] = await inner.enqueue([task], options);
          const taken = outcome?.status === 'duplicate' && outcome.existingId === task.id;
          outcomes.push(
            (taken ? (await inner.enqueue([{ ...task, id: randomUUID() }], options))[0] : outcome) as EnqueueOutcome,
          );
        }
        return outcomes;
      },
    }),
  })),
  brokenBroker(
    'rollback-ignored',
    'a task enqueued in a transaction is stored whatever becomes of it',
    'MOD-21',
    () => ({
      broker: (inner) => ({ enqueue: (tasks) => inner.enqueue(tasks) }),
    }),
  ),
  brokenEnqueue('priority-reversed', 'lower priorities come first', 'PRI-01', (task) => ({
    ...task,
    priority: 9 - task.priority,
  })),
  brokenEnqueue('priority-merged', 'neighbouring priorities are one', 'PRI-06', (task) => ({
    ...task,
    priority: task.priority - (task.priority % 2),
  })),
  brokenEnqueue('priority-clamped', 'a priority out of range is moved into it', 'PRI-02', (task) => ({
    ...task,
    priority: Math.min(9, Math.max(0, Math.round(task.priority || 0))),
  })),
  brokenBroker(
    'fresh-overwrites',
    'a task promised to be fresh takes the place of one that has its id',
    'DUP-14',
    () => ({
      broker: (inner) => ({
        async enqueue(tasks, options) {
          const outcomes = await inner.enqueue(tasks, options);
          for (const [index, task] of tasks.entries()) {
            const outcome = outcomes[index];
            if (task.fresh !== true || outcome?.status !== 'duplicate' || task.input === undefined) continue;
            await inner.tasks?.update([task.id], { input: task.input, priority: task.priority });
          }
          return outcomes;
        },
      }),
    }),
  ),
  brokenBroker('fresh-trusted-in-bulk', 'in bulk, what is promised to be fresh is answered accepted', 'DUP-14', () => ({
    broker: (inner) => ({
      async enqueue(tasks, options) {
        const outcomes = await inner.enqueue(tasks, options);
        if (tasks.length === 1) return outcomes;
        return outcomes.map(
          (outcome, index): EnqueueOutcome => (tasks[index]?.fresh ? { status: 'accepted' } : outcome),
        );
      },
    }),
  })),
  brokenBroker('refused-come-last', 'the outcomes of refused tasks come behind those of stored ones', 'MOD-26', () => ({
    broker: (inner) => ({
      async enqueue(tasks, options) {
        const outcomes = await inner.enqueue(tasks, options);
        const isRefused = ({ status }: EnqueueOutcome): boolean => status === 'rejected';
        return [...outcomes.filter((outcome) => !isRefused(outcome)), ...outcomes.filter(isRefused)];
      },
    }),
  })),
  brokenBroker(
    'priority-ages',
    'what was enqueued earlier weighs more, whatever its priority',
    'PRI-05',
    (scratch) => ({
      broker: (inner) => ({
        enqueue(tasks, options) {
          const aged = tasks.map((task) => {
            const age = Math.floor(scratch.enqueued.length / 8);
            return { ...task, priority: Math.max(0, task.priority - age) };
          });
          return inner.enqueue(aged, options);
        },
      }),
    }),
  ),
];
