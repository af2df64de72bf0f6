import { between, type Instant, later, mayHaveCome } from '../instant.ts';
import type { ModelOutcome, Occasion } from '../operation.ts';
import { type ModelState, type ModelTask, withSession, withTask } from '../state.ts';
import type { Step } from '../step.ts';
import { endRun } from './end-run.ts';

const done: ModelOutcome = { type: 'done' };

/** The longest a session may have been silent when its process stops: a beat is due every third of its time to live. */
const beatShare = 1 / 3;
/** The share of its time to live for which a holder trusts a session that is not answered any more. */
const trustShare = 0.9;

export function openSession(state: ModelState, id: string, ttlMs: number, worker: string): Step[] {
  const session = { id, ttlMs, worker, state: 'live', silentSince: undefined, deadline: undefined } as const;
  return [{ outcome: done, state: withSession(state, session) }];
}

/** Gives back what a session that is not lost still holds, uncharged. */
export function endSession(state: ModelState, id: string, occasion: Occasion): Step[] {
  const session = state.sessions.get(id);
  if (session === undefined || session.state === 'ended') return [{ outcome: done, state }];
  // A lost session has nothing to give back: its tasks are maintenance's to take.
  if (session.state !== 'live') return [{ outcome: done, state }];
  let next = withSession(state, { ...session, state: 'ended' });
  for (const task of heldBy(state, id)) {
    const due = { ...between(task.due, occasion.now), step: undefined, delayMs: 0 };
    next = withTask(next, task.id, endRun(task, { operation: 'release', due }, occasion.now));
  }
  return [{ outcome: done, state: next }];
}

/** What a session holds as far as nobody has taken it back. */
export function heldBy(state: ModelState, session: string): ModelTask[] {
  return [...state.tasks.values()].filter((task) => task.state === 'running' && task.holder === session);
}

/** A process that stops: its session lives on until its time to live is over, counted from its last beat. */
export function freeze(state: ModelState, id: string, occasion: Occasion): Step[] {
  const session = state.sessions.get(id);
  if (session === undefined || session.state !== 'live') return [{ outcome: done, state }];
  const { now } = occasion;
  const lastBeat: Instant = { from: now.from - Math.ceil(session.ttlMs * beatShare), to: now.to };
  const silent = {
    ...session,
    state: 'silent',
    silentSince: lastBeat,
    deadline: later(lastBeat, session.ttlMs),
  } as const;
  return [{ outcome: done, state: withSession(state, silent) }];
}

/** It goes on, and finds out whether it may still trust its session. */
export function thaw(state: ModelState, id: string, occasion: Occasion): Step[] {
  const session = state.sessions.get(id);
  const { deadline, silentSince } = session ?? {};
  if (session?.state !== 'silent' || deadline === undefined || silentSince === undefined) {
    return [{ outcome: { type: 'thaw', lost: session?.state === 'lost' }, state }];
  }
  const steps: Step[] = [];
  const trustEnd = later(silentSince, Math.floor(session.ttlMs * trustShare));
  if (mayHaveCome(trustEnd, occasion.now)) {
    steps.push({ outcome: { type: 'thaw', lost: true }, state: withSession(state, { ...session, state: 'lost' }) });
  }
  if (deadline.to > occasion.now.from) {
    const alive = { ...session, state: 'live', silentSince: undefined, deadline: undefined } as const;
    steps.push({ outcome: { type: 'thaw', lost: false }, state: withSession(state, alive) });
  }
  return steps;
}
